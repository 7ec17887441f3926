import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ACTS } from '../../src/sandbox/acts.ts'
import { ENDPOINTS } from '../../src/sandbox/api.ts'
import { COMPONENT_ACTS } from '../../src/sandbox/component-acts.ts'
import { CORP_ACTS } from '../../src/sandbox/corp-acts.ts'
import { TAMPERINGS } from '../../src/sandbox/inputs.ts'
import { createSandbox } from '../../src/sandbox/sandbox.ts'
import { SUITE_ACTS } from '../../src/sandbox/suite-acts.ts'

const page = readFileSync('docs/sandbox.md', 'utf8')

/** The text under a heading. */
function section(title: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(title)) ?? ''
}

/** What stands in code in the first column of a section's tables. */
function firstColumn(title: string, heading: string): string[] {
  const rows = section(title).split('\n')
  const start = rows.findIndex((row) => row.startsWith(`| ${heading} |`))
  const table = rows.slice(start + 2)
  const end = table.findIndex((row) => !row.startsWith('|'))
  return table.slice(0, end === -1 ? undefined : end).flatMap((row) => {
    const [, first = ''] = row.split('|')
    return [...first.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
  })
}

describe('docs/sandbox.md', () => {
  it.each([
    ['What people can do', 'Act', ACTS],
    ['What happens to a component', 'Act', COMPONENT_ACTS],
    ['What happens in a corp', 'Act', CORP_ACTS],
    ['What happens to a suite', 'Act', SUITE_ACTS],
  ])('lists the acts of “%s”, and no others', (title, heading, acts) => {
    expect(firstColumn(title, heading).toSorted()).toEqual(Object.keys(acts).toSorted())
  })

  it('lists every endpoint, and no other', () => {
    const listed = [...section('The API').matchAll(/`(\/(?:cgi-bin|wxaapi)\/[^`]+)`/g)]
    expect(listed.map(([, path]) => path).toSorted()).toEqual([...ENDPOINTS.keys()].toSorted())
  })

  it('lists every tampering, and no other', () => {
    const listed = firstColumn('Faults', 'Tampering')
    expect(listed.toSorted()).toEqual([...TAMPERINGS].toSorted())
  })

  it('lists every control route, and no other', async () => {
    const sandbox = createSandbox()
    const { url } = await sandbox.listen()
    const answer: unknown = await (await fetch(`${url}/sandbox`)).json()
    await sandbox.close()
    const rows = section('Start and drive it').split('\n')
    const listed = rows.flatMap((row) => {
      const [, first = ''] = row.split('|')
      const path = / `?(?:GET|POST)[^`]*? (\/sandbox[^`]*)`/.exec(first)?.[1]
      if (!row.startsWith('|') || path === undefined) return []
      return [...first.matchAll(/GET|POST|DELETE/g)].map(([method]) => `${method} ${path}`)
    })
    // The faults are named together with what deletes them.
    const both = rows.flatMap((row) => {
      const path = /^\| `POST`, `DELETE (\/sandbox\S+)`/.exec(row)?.[1]
      return path === undefined ? [] : [`POST ${path}`, `DELETE ${path}`]
    })
    const { routes } = Object(answer) as { routes: string[] }
    expect([...listed, ...both].toSorted()).toEqual(routes.toSorted())
  })
})
