import { createReadStream } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { checkFile, importFile, type BadLine } from '../consent/import-file.ts'
import type { LineProblem } from '../consent/import-line.ts'
import { systemClock } from '../foundation/clock.ts'
import { InvalidInputError } from '../foundation/errors.ts'
import type { Command } from './command.ts'
import { argumentFault, refuseArgument } from './parse-arguments.ts'
import { ACTOR_OPTION, actorOf } from './person.ts'

/** Progress is told this often. */
const TELL_EVERY_MS = 1_000

export const consentImport: Command = {
  name: 'consent import',
  summary: {
    en: 'Import consents that were given elsewhere, from NDJSON or CSV.',
    zh: '从 NDJSON 或 CSV 文件导入在别处取得的授权。',
  },
  words: ['FILE'],
  options: {
    account: {
      type: 'text',
      value: 'name',
      required: true,
      help: { en: 'The account they are for.', zh: '所属帐号。' },
    },
    actor: ACTOR_OPTION,
    check: {
      type: 'flag',
      help: { en: 'Only check the file; write nothing.', zh: '只检查文件，不写入。' },
    },
  },

  async run({ args, say, output, withGateway, signal }) {
    const path = args.word(0)
    await access(path, constants.R_OK).catch(() =>
      refuseArgument('FILE', (speak) => speak('file_unreadable', { path })),
    )
    const lines = () => createInterface({ input: createReadStream(path), crlfDelay: Infinity })
    const checked = await checkFile(lines, systemClock)
    if (checked.badCount > 0) refuseLines(checked.bad, checked.badCount)
    const { consents } = checked
    if (args.flag('check')) {
      return output.answer({ consents, written: 0 }, say('import_checked', { consents }))
    }

    const account = args.text('account') ?? ''
    let toldMs = performance.now()
    const end = await withGateway(async ({ parts }) => {
      const { id } = await parts.accounts.show(account)
      const actor = actorOf(args.text('actor'))
      return importFile(lines, {
        clock: systemClock,
        signal,
        write: (batch) => parts.consents.import({ accountId: id, consents: batch, actor }),
        onProgress({ read, written }) {
          if (performance.now() - toldMs < TELL_EVERY_MS) return
          toldMs = performance.now()
          output.note(say('import_progress', { read, consents, written }))
        },
      })
    })
    const { read, written } = end
    const isWhole = read === consents
    output.answer(
      { account, consents, read, written, known: read - written, complete: isWhole },
      isWhole
        ? say('imported', { written, known: read - written })
        : say('import_stopped', { read, consents, written }),
    )
    return isWhole ? 0 : 1
  },
}

/** Every bad line by its number; a file with one is not begun. */
function refuseLines(bad: readonly BadLine[], count: number): never {
  const faults = bad.map(({ line, problem }) =>
    argumentFault(`FILE:${line}`, (speak) => speak(wordFor(problem))),
  )
  if (count > bad.length) {
    faults.push(argumentFault('FILE', (speak) => speak('import_more_bad', { count })))
  }
  throw new InvalidInputError('bad_import', faults)
}

function wordFor(problem: LineProblem): `import_${LineProblem}` {
  return `import_${problem}`
}
