// The page: every row, whoever wins it, with what was measured where, when and beside whom.

import type { Conditions } from '../lib/conditions.ts'
import { cell, NAMES, ratioCell } from '../lib/result.ts'
import type { RowResult, Table } from '../lib/result.ts'
import { chart } from './chart.ts'
import type { GroupResult, Results } from './results.ts'

/** See lib/measure.ts. */
const METHOD = `Everybody has a turn, then everybody again, until the ratio is known to 3 % or 20 s have passed, after half a second of each
that does not count. Times are medians; the ratio is the median of each turn's, and so not always just that of the medians;
behind it stand its quartiles. Where two per cent are to be told from none, the ratio is measured to 1 %. Rows without a ratio
are not compared with anybody: the median of as many turns as they say, or something counted. The file is in memory, and
everybody's map of it is made and touched before. The load is that of the minute before a group, in which the group before
it may have run.

A ratio is our time by theirs: below 1 we are faster, above 1 they are. In the pictures it is the other way round, how
long the others take beside us, since so the longer bar is the slower one.

- **limit**: the same work as a loop in Rust over a plain map, with nothing that protects: what the machine can do.
- **Node**: what Node has for it without us, or what the row names.
- **npm**: the package that the row names.
- **unguarded**: ourselves with \`guard: false\`. **one thread**: ourselves with one.
- **bound by**: what keeps it from being faster, or why the row was skipped.`

/** Text in Markdown that says what it says, also in a table's cell. */
export function escapeMarkdown(text: string): string {
  return text.replaceAll(/[\\`*_{}[\]<>#|~$&]/g, (character) => `\\${character}`).replaceAll(/\s+/g, ' ')
}

/** A row's name may have code in it, between backticks, and nothing else. */
function name(text: string): string {
  return text
    .split(/(`[^`|\\\s]+(?: [^`|\\\s]+)*`)/)
    .map((part, number) => (number % 2 === 1 ? part : escapeMarkdown(part)))
    .join('')
}

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function list(conditions: Conditions): string {
  return Object.entries(conditions).map(([what, text]) => `- **${escapeMarkdown(what)}**: ${escapeMarkdown(text)}`).join('\n') // prettier-ignore
}

function verdict({ holds, verdict: found }: RowResult): string {
  if (holds === undefined) return ''
  return holds ? 'yes' : `**✗ MISSED**: ${escapeMarkdown(found)}`
}

function table({ columns, rows }: Table): string {
  const head = ['', ...columns.map((column) => NAMES[column]), 'ratio (quartiles)', 'target', 'holds', 'turns', 'bound by'] // prettier-ignore
  const lines = rows.map((row) => {
    const cells = columns.map((column) => cell(row, column))
    const turns = row.found.ours?.turns
    return line([
      name(row.what.trim()),
      ...cells,
      ratioCell(row),
      escapeMarkdown(row.target),
      verdict(row),
      turns === undefined ? '' : String(turns),
      name(row.bound),
    ])
  })
  return [line(head), line(['---', ...columns.map(() => '---:'), '---', '---', '---', '---:', '---']), ...lines].join('\n') // prettier-ignore
}

/** The picture's file: the group's, and its number if there are several. */
function picture(group: GroupResult, index: number): string {
  return group.tables.length === 1 ? `${group.group}.svg` : `${group.group}-${index + 1}.svg`
}

function section(group: GroupResult): string {
  const { date, commit, command, seconds, load, tables } = group
  const when =
    `Measured ${date}, in ${Math.round(seconds)} s, at ${commit}, by \`${command}\`; ` +
    `the machine's load when it began: ${load.toFixed(2)}.`
  const parts = tables.map(
    (each, index) =>
      `${each.title === group.group ? '' : `### ${name(each.title)}\n\n`}![${escapeMarkdown(each.title)}](${picture(group, index)})\n\n${table(each)}`,
  )
  return [`## ${group.group}`, when, ...parts].join('\n\n')
}

/** Groups that were measured under the same conditions, together. */
function machines({ groups }: Results): string {
  const same = new Map<string, GroupResult[]>()
  for (const group of groups) {
    const key = JSON.stringify(group.conditions)
    same.set(key, [...(same.get(key) ?? []), group])
  }
  return [...same.values()]
    .map((those) => {
      const [first] = those
      if (first === undefined) return ''
      const which = same.size === 1 ? '' : `Groups ${those.map(({ group }) => group).join(', ')}:\n\n`
      return `${which}${list(first.conditions)}`
    })
    .join('\n\n')
}

function verdicts({ groups }: Results): string {
  const judged = groups.flatMap(({ group, tables }) =>
    tables.flatMap(({ rows }) => rows.filter(({ holds }) => holds !== undefined).map((row) => ({ group, row }))),
  )
  const missed = judged.filter(({ row }) => row.holds === false)
  const count = `${judged.length - missed.length} of ${judged.length} targets hold.`
  if (missed.length === 0) return count
  const lines = missed.map(
    ({ group, row }) =>
      `- [${group}](#${group}): ${name(row.what.trim())}: ${escapeMarkdown(row.verdict)}, target ${escapeMarkdown(row.target)}`,
  )
  return `${count} Missed:\n\n${lines.join('\n')}`
}

/** The page's Markdown. `order` is all groups there are. */
export function page(results: Results, order: readonly string[]): string {
  const { groups } = results
  const absent = order.filter((group) => !groups.some((result) => result.group === group))
  const peers = Object.assign({}, ...groups.map((group) => group.peers)) as Conditions
  const commits = new Set(groups.map(({ commit }) => commit))
  const parts = [
    '<!-- Written by `npm run bench -- --report` from results.json; changes here are lost. -->\n\n# Benchmarks',
    verdicts(results),
    ...(absent.length === 0 ? [] : [`**Not measured yet:** ${absent.join(', ')}.`]),
    ...(commits.size > 1 ? ['Groups were measured at different commits; each says at which.'] : []),
    '## Where, and beside whom',
    machines(results),
    ...(Object.keys(peers).length === 0 ? [] : [`Versions of those who are in one group only:\n\n${list(peers)}`]),
    `## How\n\n${METHOD}`,
    ...groups.map(section),
  ]
  return `${parts.join('\n\n')}\n`
}

/** The report but for results.json: names of files, and what is in them. */
export function files(results: Results, order: readonly string[]): Map<string, string> {
  const found = new Map([['README.md', page(results, order)]])
  for (const group of results.groups) {
    for (const [index, each] of group.tables.entries()) found.set(picture(group, index), chart(each))
  }
  return found
}
