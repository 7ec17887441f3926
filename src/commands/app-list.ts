import type { Command } from './command.ts'
import { textTable } from './text-table.ts'

export const appList: Command = {
  name: 'app list',
  summary: { en: 'List the applications.', zh: '列出所有应用。' },

  async run({ say, output, withGateway }) {
    const applications = await withGateway(({ parts }) => parts.applications.list())
    const rows = applications.map((application) => [
      application.name,
      `…${application.keyHint}`,
      application.accountNames.join(', '),
      say(`signatures_${application.signatures}`),
      say(application.revokedAt ? 'revoked' : 'live'),
      application.createdAt.toISOString(),
    ])
    const heading = [
      ...[say('name'), say('key'), say('accounts'), say('signatures'), say('state')],
      say('created'),
    ]
    output.answer(
      {
        applications: applications.map((application) => ({
          id: application.id,
          name: application.name,
          key_hint: application.keyHint,
          accounts: application.accountNames,
          signatures: application.signatures,
          created_at: application.createdAt.toISOString(),
          revoked_at: application.revokedAt?.toISOString() ?? null,
        })),
      },
      rows.length === 0 ? say('no_apps') : textTable([heading, ...rows]),
    )
  },
}
