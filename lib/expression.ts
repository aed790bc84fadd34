// From a JavaScript RegExp to the syntax of the addon's engine, which works on bytes and in linear time.
//
// Without the flag u (or v, which is refused) the text is bytes: `.`, `\w` and classes stand for single ones, `\xHH` for just
// that one, and a character beyond ASCII for the bytes it has in UTF-8. With u the text is UTF-8, and all of them stand for
// characters. V8 has read the pattern before us, so it is known to be well formed; what is left is what the two mean by it.

import { invalidArgValue } from './errors.ts'

/** What the addon compiles. */
export interface Expression {
  readonly text: string
  readonly ignoreCase: boolean
  readonly characters: boolean
  readonly sticky: boolean
  /** How many groups there are, the whole match included. */
  readonly groups: number
  /** Names of the groups that have one, by their number. The engine knows groups by number only. */
  readonly names: ReadonlyMap<number, string>
}

const WORD = '0-9A-Za-z_'
const BYTE_SPACE = '\\t-\\r\\x20'
const SPACE = `${BYTE_SPACE}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}`
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 }
const SURROGATE = /^[\ud800-\udfff]$/
const NEWLINE = 0x0a
/** The engine's own limit is 250, for the groups and what they are translated to. */
const DEEPEST = 200

/** @param withinLines no match goes over the end of a line: nothing in the pattern stands for one. */
export function translate(pattern: RegExp, withinLines = false): Expression {
  return new Translator(pattern, withinLines).run()
}

/** Flags as they are in the group that is being read: modifiers may change them. */
interface Modes {
  readonly multiline: boolean
  readonly dotAll: boolean
}

/** A member of a class, or a character outside of one. `byte`: written as \xHH, and so just that byte where the text is bytes. */
interface Atom {
  readonly code: number
  readonly byte: boolean
}

class Translator {
  readonly #pattern: RegExp
  readonly #source: readonly string[]
  readonly #unicode: boolean
  /** Groups of the pattern, the whole match included, and names, as JavaScript reads them. */
  readonly #count: number
  readonly #known: readonly string[]
  readonly #hasNames: boolean
  readonly #withinLines: boolean
  readonly #named: number[] = []
  #at = 0
  #groups = 0
  #depth = 0

  constructor(pattern: RegExp, withinLines: boolean) {
    this.#pattern = pattern
    this.#withinLines = withinLines
    this.#source = [...pattern.source]
    this.#unicode = pattern.unicode
    if (pattern.flags.includes('v')) throw this.#refuse('the flag v; u is known')
    // With an empty alternative before all others it matches at once.
    const match = new RegExp(`|${pattern.source}`, pattern.flags.replaceAll(/[gy]/g, '')).exec('')
    this.#count = match?.length ?? 1
    this.#known = Object.keys(match?.groups ?? {})
    this.#hasNames = this.#known.length > 0
  }

  run(): Expression {
    const { flags } = this.#pattern
    const text = this.#sequence({ multiline: flags.includes('m'), dotAll: flags.includes('s') })
    return {
      text,
      ignoreCase: flags.includes('i'),
      characters: this.#unicode,
      sticky: flags.includes('y'),
      groups: this.#groups + 1,
      names: this.#names(),
    }
  }

  /** The names are in the order of their groups. */
  #names(): ReadonlyMap<number, string> {
    if (this.#known.length < this.#named.length) throw this.#refuse('two groups of one name')
    return new Map(this.#known.map((name, index) => [this.#named[index] ?? 0, name]))
  }

  #refuse(what: string): TypeError {
    return invalidArgValue('pattern', this.#pattern, `has what this engine cannot do: ${what}`)
  }

  #peek(text: string): boolean {
    for (let i = 0; i < text.length; i++) if (this.#source[this.#at + i] !== text[i]) return false
    return true
  }

  #take(text: string): boolean {
    const there = this.#peek(text)
    if (there) this.#at += text.length
    return there
  }

  /** What follows, up to a character that is taken too. */
  #until(end: string): string {
    const from = this.#at
    while (this.#source[this.#at] !== end) this.#at++
    return this.#source.slice(from, this.#at++).join('')
  }

  /** Up to the end, or to the bracket that closes this group. */
  #sequence(modes: Modes): string {
    let text = ''
    while (this.#at < this.#source.length && !this.#peek(')')) text += this.#term(modes)
    return text
  }

  #term(modes: Modes): string {
    const character = this.#source[this.#at] ?? ''
    switch (character) {
      case '|':
        this.#at++
        return '|'
      case '^':
        this.#at++
        return modes.multiline ? '(?mR:^)' : '\\A'
      case '$':
        this.#at++
        return modes.multiline ? '(?mR:$)' : '\\z'
      case '(': {
        const group = this.#group(modes)
        const quantifier = this.#quantifier()
        // Repeated no times the engine would forget the group, and there would be one less in each match.
        return /^\{0+(,0+)?\}/.test(quantifier) ? `(?:${group}[^${this.#every()}])?` : group + quantifier
      }
      case '.':
        this.#at++
        return this.#dot(modes) + this.#quantifier()
      case '[':
        this.#at++
        return this.#class() + this.#quantifier()
      case '\\':
        return this.#escape()
      default:
        this.#at++
        return this.#literal(this.#code(character)) + this.#quantifier()
    }
  }

  /** All there is, as members of a class. */
  #every(characters = this.#unicode): string {
    return characters ? '\\x00-\\x{10ffff}' : '\\x00-\\xff'
  }

  #dot({ dotAll }: Modes): string {
    if (dotAll) return this.#set(`[${this.#every()}]`)
    return this.#unicode ? '[^\\n\\r\\x{2028}\\x{2029}]' : '[^\\n\\r]'
  }

  #code(character: string): number {
    if (SURROGATE.test(character)) throw this.#refuse('half a character (a lone surrogate)')
    return character.codePointAt(0) ?? 0
  }

  #group(modes: Modes): string {
    this.#at++
    if (++this.#depth > DEEPEST) throw this.#refuse(`groups nested more than ${DEEPEST} deep`)
    let inner = modes
    let opening = '('
    if (this.#take('?:')) opening = '(?:'
    else if (this.#take('?=')) throw this.#refuse('look-ahead (?=…)')
    else if (this.#take('?!')) throw this.#refuse('negative look-ahead (?!…)')
    else if (this.#take('?<=')) throw this.#refuse('look-behind (?<=…)')
    else if (this.#take('?<!')) throw this.#refuse('negative look-behind (?<!…)')
    else if (this.#take('?<')) {
      this.#until('>')
      this.#named.push(++this.#groups)
    } else if (this.#take('?')) {
      const [on = '', off = ''] = this.#until(':').split('-')
      const mode = (letter: string, before: boolean): boolean =>
        (before || on.includes(letter)) && !off.includes(letter)
      inner = { multiline: mode('m', modes.multiline), dotAll: mode('s', modes.dotAll) }
      const folding = on.includes('i') ? 'i' : off.includes('i') ? '-i' : ''
      opening = `(?${folding}:`
    } else this.#groups++
    const text = this.#sequence(inner)
    this.#at++
    this.#depth--
    return `${opening}${text})`
  }

  #quantifier(): string {
    const [first = ''] = this.#source.slice(this.#at, this.#at + 1)
    let text = ''
    if (first === '*' || first === '+' || first === '?') {
      text = first
      this.#at++
    } else if (first === '{') {
      const found = /^\{\d+(,\d*)?\}/.exec(this.#source.slice(this.#at, this.#at + 64).join(''))
      // Elsewhere a brace is just that.
      if (found === null) return ''
      text = found[0]
      this.#at += text.length
    } else return ''
    return this.#take('?') ? `${text}?` : text
  }

  /** What a backslash begins, outside of a class. */
  #escape(): string {
    if (this.#take('\\b')) return '(?-u:\\b)'
    if (this.#take('\\B')) return '(?-u:\\B)'
    const next = this.#source[this.#at + 1] ?? ''
    if (next === 'k' && (this.#unicode || this.#hasNames)) throw this.#refuse('back-references (\\k<name>)')
    // Of old, the number of a group that is not there is an octal one.
    const [number] = /^[1-9]\d*/.exec(this.#source.slice(this.#at + 1, this.#at + 16).join('')) ?? []
    if (number !== undefined && Number(number) < this.#count) throw this.#refuse(`back-references (\\${number})`)
    const shorthand = this.#shorthand()
    if (shorthand !== undefined) return this.#set(`[${shorthand}]`) + this.#quantifier()
    const { code, byte } = this.#escaped()
    const text = byte && !this.#unicode && code > 0x7f ? `\\x${hex(code)}` : this.#literal(code)
    return text + this.#quantifier()
  }

  /** `\d`, `\w`, `\s`, `\p{…}` and their opposites, as members of a class. */
  #shorthand(): string | undefined {
    const letter = this.#source[this.#at + 1] ?? ''
    const space = this.#unicode ? SPACE : BYTE_SPACE
    const members: Readonly<Record<string, string>> = { d: '0-9', w: WORD, s: space }
    const positive = members[letter]
    const negative = members[letter.toLowerCase()]
    if (positive !== undefined || (negative !== undefined && letter !== letter.toLowerCase())) {
      this.#at += 2
      return positive ?? `[^${negative}]`
    }
    if (this.#unicode && (letter === 'p' || letter === 'P')) {
      this.#at += 3
      return `\\${letter}{${this.#until('}')}}`
    }
    return undefined
  }

  /** A character that is written with a backslash, in a class or outside. */
  #escaped(inClass = false): Atom {
    const letter = this.#source[++this.#at] ?? ''
    this.#at++
    const control = CONTROLS[letter]
    if (control !== undefined) return { code: control, byte: false }
    const rest = this.#source.slice(this.#at, this.#at + 12).join('')
    const matched = (digits: RegExp): number | undefined => {
      const found = digits.exec(rest)
      if (found === null) return undefined
      this.#at += found[0].length
      return Number.parseInt(found[1] ?? '', 16)
    }
    if (letter === 'x') {
      const code = matched(/^([0-9a-f]{2})/i)
      if (code !== undefined) return { code, byte: true }
    }
    if (letter === 'u') {
      const pair = /^(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})/i.exec(rest)
      if (pair !== null) {
        this.#at += pair[0].length
        const [high, low] = [Number.parseInt(pair[1] ?? '', 16), Number.parseInt(pair[2] ?? '', 16)]
        return { code: 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00), byte: false }
      }
      const code = (this.#unicode ? matched(/^\{([0-9a-f]+)\}/i) : undefined) ?? matched(/^([0-9a-f]{4})/i)
      if (code !== undefined) return { code: this.#code(String.fromCodePoint(code)), byte: false }
    }
    if (letter === 'c' && (inClass ? /^\w/ : /^[a-z]/i).test(rest)) {
      this.#at++
      return { code: (rest.codePointAt(0) ?? 0) % 32, byte: false }
    }
    if (letter === '0' && !/^[0-9]/.test(rest)) return { code: 0, byte: false }
    if (/[0-7]/.test(letter)) {
      if (this.#unicode) throw this.#refuse('octal escapes')
      const octal = /^[0-7]{0,2}/.exec(rest)?.[0] ?? ''
      const digits = letter > '3' ? octal.slice(0, 1) : octal
      this.#at += digits.length
      return { code: Number.parseInt(letter + digits, 8), byte: true }
    }
    // Of old, a backslash before a letter that means nothing is the letter; `\c` without one is a backslash.
    if (letter === 'c') {
      this.#at--
      return { code: 0x5c, byte: false }
    }
    return { code: this.#code(letter), byte: false }
  }

  /** A class, behind its bracket. */
  #class(): string {
    const negated = this.#take('^')
    const members: (string | readonly Atom[])[] = []
    const single = (): string | Atom[] => (this.#peek('\\') ? this.#shorthand() : undefined) ?? [this.#member()]
    while (!this.#take(']')) {
      const first = single()
      members.push(first)
      // A hyphen at the end is a hyphen, and so is one beside `\w`.
      if (!this.#peek('-') || this.#source[this.#at + 1] === ']') continue
      this.#at++
      const last = single()
      if (typeof first === 'string' || typeof last === 'string') members.push('\\x2d', last)
      else first.push(...last)
    }
    const atoms = members.filter((member) => typeof member !== 'string').flat()
    const high = atoms.filter(({ code }) => code > 0x7f && !this.#unicode)
    const characters = this.#unicode || high.some(({ byte }) => !byte)
    if (characters && high.some(({ byte }) => byte)) {
      throw this.#refuse(
        'a class of both bytes (\\x80 to \\xff) and characters beyond ASCII; the flag u makes all of them characters',
      )
    }
    // A byte is written with two digits, since the braces stand for a character.
    const written = ({ code }: Atom): string => (characters ? `\\x{${hex(code)}}` : `\\x${hex(code)}`)
    const every = this.#every(characters)
    const texts = members.map((member) => (typeof member === 'string' ? member : member.map(written).join('-')))
    // `[]` is nothing at all, and `[^]` anything.
    const text =
      members.length === 0 ? (negated ? `[${every}]` : `[^${every}]`) : `[${negated ? '^' : ''}${texts.join('')}]`
    return characters && !this.#unicode ? `(?u:${this.#set(text)})` : this.#set(text)
  }

  /** A class, without what must not be in it. */
  #set(text: string): string {
    return this.#withinLines ? `[${text}&&[^\\n]]` : text
  }

  #literal(code: number): string {
    if (this.#withinLines && code === NEWLINE) throw this.#refuse('a line end where lines are searched one by one')
    return literal(code, this.#unicode)
  }

  #member(): Atom {
    if (this.#take('\\b')) return { code: 8, byte: false }
    if (this.#take('\\-')) return { code: 0x2d, byte: false }
    if (this.#peek('\\')) return this.#escaped(true)
    return { code: this.#code(this.#source[this.#at++] ?? ''), byte: false }
  }
}

function hex(code: number): string {
  return code.toString(16).padStart(2, '0')
}

/** A character by its number, so that none of them means anything else. */
function literal(code: number, unicode: boolean): string {
  if (code <= 0x7f)
    return /[0-9A-Za-z]/.test(String.fromCodePoint(code)) ? String.fromCodePoint(code) : `\\x${hex(code)}`
  return unicode ? `\\x{${hex(code)}}` : `(?u:\\x{${hex(code)}})`
}
