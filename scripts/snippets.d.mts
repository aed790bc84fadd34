/** A piece of a file that can be run. */
export interface Snippet {
  readonly file: string
  /** The line of the file at which its code begins. */
  readonly line: number
  readonly code: string
}

export function snippetsOf(file: string): Snippet[]
export function examplesWithoutCode(file: string): number[]
export function commandsOf(file: string): Snippet[]
export function compileSnippets(snippets: readonly Snippet[], folder: string): string[]
export function runSnippets(folder: string, count: number): Promise<string[]>
export function makeCommandFolder(folder: string): void
export function runCommand(command: Snippet, folder: string): string
