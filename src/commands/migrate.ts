import { migrate, pending, rollback } from '../database/migrate.ts'
import type { Command } from './command.ts'
import { refuseArgument } from './parse-arguments.ts'

export const migrateCommand: Command = {
  name: 'migrate',
  summary: {
    en: 'Bring the database up to this version.',
    zh: '将数据库迁移到当前版本。',
  },
  options: {
    pending: {
      type: 'flag',
      help: { en: 'Only show what is still to be done.', zh: '只显示尚未执行的迁移。' },
    },
    rollback: {
      type: 'flag',
      help: { en: 'Undo what the last migrate did.', zh: '撤销最近一次迁移。' },
    },
    yes: {
      type: 'flag',
      help: {
        en: 'With --rollback: yes, also if it drops tables with data.',
        zh: '与 --rollback 一起使用：确认执行，即使会删除含数据的表。',
      },
    },
  },

  async run({ args, say, output, withGateway }) {
    if (args.flag('rollback') && !args.flag('yes')) {
      refuseArgument('--yes', (say) => say('rollback_needs_yes'))
    }
    await withGateway(
      async ({ parts: { db } }) => {
        if (args.flag('pending')) {
          const names = await pending(db)
          const lines = names.map((name) => say('pending', { name }))
          output.answer({ pending: names }, lines.join('\n') || say('up_to_date'))
        } else if (args.flag('rollback')) {
          const names = await rollback(db)
          const lines = names.map((name) => say('rolled_back', { name }))
          output.answer({ rolled_back: names }, lines.join('\n') || say('nothing_to_roll_back'))
        } else {
          const names = await migrate(db)
          const lines = names.map((name) => say('migrated', { name }))
          output.answer({ migrated: names }, lines.join('\n') || say('up_to_date'))
        }
      },
      { migrations: 'ignore' },
    )
  },
}
