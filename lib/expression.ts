// From a JavaScript RegExp to a tree for the addon's engine, which works on bytes and in linear time. The addon has neither a
// parser nor tables of Unicode: classes, and letters where case is ignored, are handed over as ranges.
//
// Without the flag u (or v, which is refused) the text is bytes: `.`, `\w` and classes stand for single ones, `\xHH` for just
// that one, and a character beyond ASCII for the bytes it has in UTF-8. With u the text is UTF-8, and all of them stand for
// characters. V8 has read the pattern before us, so it is known to be well formed; what is left is what the two mean by it.

import { complement, fold, foldAscii, LAST_CODE_POINT, ofProperty, union, withoutSurrogates } from './code-points.ts'
import type { CodePoints } from './code-points.ts'
import { invalidArgValue } from './errors.ts'

/** What the addon compiles. */
export interface Expression {
  /** The parts, each behind what it is made of; `Part` says how each is written. */
  readonly tree: Uint32Array
  readonly characters: boolean
  readonly sticky: boolean
  /** How many groups there are, the whole match included. */
  readonly groups: number
  /** Names of the groups that have one, by their number. The engine knows groups by number only. */
  readonly names: ReadonlyMap<number, string>
}

/**
 * What a part of the tree begins with, and what comes behind that. crates/core/src/expression.rs reads it.
 */
const Part = {
  /** How many bytes, and the bytes. */
  LITERAL: 0,
  /** One byte: how many ranges, and the first and last of each. */
  BYTE: 1,
  /** The same for one character. */
  CHARACTER: 2,
  /** An assertion: which. */
  LOOK: 3,
  /** Of the part before: least, most, whether as often as possible. */
  REPETITION: 4,
  /** Of the part before: which group. */
  CAPTURE: 5,
  /** How many parts before, one behind the other. */
  SEQUENCE: 6,
  /** How many parts before, of which one. */
  CHOICE: 7,
} as const

const Look = { START: 0, END: 1, LINE_START: 2, LINE_END: 3, WORD: 4, NOT_WORD: 5 } as const

/** As often as there is something. */
const WITHOUT_END = 0xffff_ffff
/** Words; the engine needs some two hundred bytes for each part while it compiles. */
const LONGEST_TREE = 2 ** 22

const LAST_BYTE = 0xff
const DIGIT: CodePoints = [[0x30, 0x39]]
const WORD = union(DIGIT, [
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
])
const BYTE_SPACE: CodePoints = [
  [9, 13],
  [0x20, 0x20],
]
const SPACE = union(BYTE_SPACE, [
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
])
const LINE_ENDS: CodePoints = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]
const HYPHEN = { code: 0x2d, byte: false } as const
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 }
const SURROGATE = /^[\ud800-\udfff]$/
const NEWLINE = 0x0a
/** The engine's own limit is 250, for the groups and what they are made of. */
const DEEPEST = 200

/** @param withinLines no match goes over the end of a line: nothing in the pattern stands for one. */
export function translate(pattern: RegExp, withinLines = false): Expression {
  return new Translator(pattern, withinLines).run()
}

/** Flags as they are in the group that is being read: modifiers may change them. */
interface Modes {
  readonly ignoreCase: boolean
  readonly multiline: boolean
  readonly dotAll: boolean
}

/** A member of a class, or a character outside of one. `byte`: written as \xHH, and so just that byte where the text is bytes. */
interface Atom {
  readonly code: number
  readonly byte: boolean
}

/** `\d`, `\w`, `\s`, `\p{…}` and their opposites. */
interface Shorthand {
  readonly set: CodePoints
  readonly negated: boolean
}

interface Quantifier {
  readonly least: number
  readonly most: number
  readonly greedy: boolean
}

class Translator {
  readonly #pattern: RegExp
  readonly #source: readonly string[]
  readonly #flags: string
  readonly #unicode: boolean
  /** Groups of the pattern, the whole match included, and names, as JavaScript reads them. */
  readonly #count: number
  readonly #known: readonly string[]
  readonly #hasNames: boolean
  readonly #withinLines: boolean
  readonly #named: number[] = []
  readonly #tree: number[] = []
  #at = 0
  #groups = 0
  #depth = 0

  constructor(pattern: RegExp, withinLines: boolean) {
    this.#pattern = pattern
    this.#withinLines = withinLines
    // Asked for once: a subclass may say something else each time.
    const { source, flags } = pattern
    this.#source = [...source]
    this.#flags = flags
    this.#unicode = flags.includes('u')
    if (flags.includes('v')) throw this.#refuse('the flag v; u is known')
    const match = this.#emptyMatch(source)
    this.#count = match?.length ?? 1
    this.#known = Object.keys(match?.groups ?? {})
    this.#hasNames = this.#known.length > 0
  }

  /** With an empty alternative before all others it matches at once. */
  #emptyMatch(source: string): RegExpExecArray | null {
    try {
      return new RegExp(`|${source}`, this.#flags.replaceAll(/[gy]/g, '')).exec('')
    } catch {
      // Only now V8 compiles it, and has not stack enough.
      throw this.#refuse('a pattern too long for V8 itself')
    }
  }

  run(): Expression {
    const has = (flag: string): boolean => this.#flags.includes(flag)
    this.#choice({ ignoreCase: has('i'), multiline: has('m'), dotAll: has('s') })
    return {
      tree: Uint32Array.from(this.#tree),
      characters: this.#unicode,
      sticky: has('y'),
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

  #emit(...words: readonly number[]): void {
    if (this.#tree.length > LONGEST_TREE) throw this.#refuse('a pattern that long')
    this.#tree.push(...words)
  }

  /** Up to the end, or to the bracket that closes this group. */
  #choice(modes: Modes): void {
    let choices = 1
    let terms = 0
    while (this.#at < this.#source.length && !this.#peek(')')) {
      if (this.#take('|')) {
        this.#emit(Part.SEQUENCE, terms)
        terms = 0
        choices++
      } else {
        this.#term(modes)
        terms++
      }
    }
    this.#emit(Part.SEQUENCE, terms)
    if (choices > 1) this.#emit(Part.CHOICE, choices)
  }

  #term(modes: Modes): void {
    const character = this.#source[this.#at] ?? ''
    switch (character) {
      case '^':
        this.#at++
        return this.#emit(Part.LOOK, modes.multiline ? Look.LINE_START : Look.START)
      case '$':
        this.#at++
        return this.#emit(Part.LOOK, modes.multiline ? Look.LINE_END : Look.END)
      case '(':
        this.#group(modes)
        return this.#repeated(true)
      case '.':
        this.#at++
        this.#set(complement(modes.dotAll ? [] : this.#inText(LINE_ENDS), this.#last()), this.#unicode)
        return this.#repeated()
      case '[':
        this.#at++
        this.#class(modes)
        return this.#repeated()
      case '\\':
        return this.#escape(modes)
      default:
        this.#at++
        this.#literal(this.#code(character), modes)
        return this.#repeated()
    }
  }

  /** The last byte, or character, there is. */
  #last(characters = this.#unicode): number {
    return characters ? LAST_CODE_POINT : LAST_BYTE
  }

  /** What of a set a text of bytes can have. */
  #inText(set: CodePoints): CodePoints {
    return this.#unicode ? set : set.filter(([, last]) => last <= 0x7f)
  }

  #code(character: string): number {
    if (SURROGATE.test(character)) throw this.#refuse('half a character (a lone surrogate)')
    return character.codePointAt(0) ?? 0
  }

  #group(modes: Modes): void {
    this.#at++
    if (++this.#depth > DEEPEST) throw this.#refuse(`groups nested more than ${DEEPEST} deep`)
    let inner = modes
    let number: number | undefined
    if (this.#take('?:')) number = undefined
    else if (this.#take('?=')) throw this.#refuse('look-ahead (?=…)')
    else if (this.#take('?!')) throw this.#refuse('negative look-ahead (?!…)')
    else if (this.#take('?<=')) throw this.#refuse('look-behind (?<=…)')
    else if (this.#take('?<!')) throw this.#refuse('negative look-behind (?<!…)')
    else if (this.#take('?<')) {
      this.#until('>')
      number = ++this.#groups
      this.#named.push(number)
    } else if (this.#take('?')) {
      const [on = '', off = ''] = this.#until(':').split('-')
      const mode = (letter: string, before: boolean): boolean =>
        (before || on.includes(letter)) && !off.includes(letter)
      inner = {
        ignoreCase: mode('i', modes.ignoreCase),
        multiline: mode('m', modes.multiline),
        dotAll: mode('s', modes.dotAll),
      }
    } else number = ++this.#groups
    this.#choice(inner)
    if (number !== undefined) this.#emit(Part.CAPTURE, number)
    this.#at++
    this.#depth--
  }

  /** What a quantifier makes of the part before. */
  #repeated(isGroup = false): void {
    const quantifier = this.#quantifier()
    if (quantifier === undefined) return
    const { least, most, greedy } = quantifier
    if (isGroup && most === 0) {
      // Repeated no times the engine would forget the group, and there would be one less in each match. So it is there, with
      // nothing at all behind it.
      this.#emit(Part.BYTE, 0, Part.SEQUENCE, 2, Part.REPETITION, 0, 1, 1)
    } else this.#emit(Part.REPETITION, least, most, Number(greedy))
  }

  #quantifier(): Quantifier | undefined {
    const known = { '*': [0, WITHOUT_END], '+': [1, WITHOUT_END], '?': [0, 1] } as const
    const first = this.#source[this.#at]
    if (first === '*' || first === '+' || first === '?') {
      this.#at++
      const [least, most] = known[first]
      return { least, most, greedy: !this.#take('?') }
    }
    if (first !== '{') return undefined
    let end = this.#at + 1
    while (/^[\d,]/.test(this.#source[end] ?? '')) end++
    const found = /^\{(\d+)(?:(,)(\d*))?\}$/.exec(this.#source.slice(this.#at, end + 1).join(''))
    // Elsewhere a brace is just that.
    if (found === null) return undefined
    const [text, low, comma, high] = found
    this.#at += text.length
    const least = Math.min(Number(low), WITHOUT_END - 1)
    const most = comma === undefined ? least : high === '' ? WITHOUT_END : Math.min(Number(high), WITHOUT_END)
    return { least, most, greedy: !this.#take('?') }
  }

  /** What a backslash begins, outside of a class. */
  #escape(modes: Modes): void {
    if (this.#take('\\b')) return this.#emit(Part.LOOK, Look.WORD)
    if (this.#take('\\B')) return this.#emit(Part.LOOK, Look.NOT_WORD)
    const next = this.#source[this.#at + 1] ?? ''
    if (next === 'k' && (this.#unicode || this.#hasNames)) throw this.#refuse('back-references (\\k<name>)')
    // Of old, the number of a group that is not there is an octal one.
    const [number] = /^[1-9]\d*/.exec(this.#source.slice(this.#at + 1, this.#at + 16).join('')) ?? []
    if (number !== undefined && Number(number) < this.#count) throw this.#refuse(`back-references (\\${number})`)
    const shorthand = this.#shorthand(modes)
    if (shorthand === undefined) {
      const { code, byte } = this.#escaped()
      if (byte && !this.#unicode && code > 0x7f) this.#emit(Part.LITERAL, 1, code)
      else this.#literal(code, modes)
    } else {
      this.#set(meant(shorthand, this.#last()), this.#unicode)
    }
    this.#repeated()
  }

  /** Where case is ignored it has what is the same already: all but properties do not tell letters apart by case. */
  #shorthand({ ignoreCase }: Modes): Shorthand | undefined {
    const letter = this.#source[this.#at + 1] ?? ''
    const small = letter.toLowerCase()
    const negated = letter !== small
    if (small === 'd' || small === 'w' || small === 's') {
      this.#at += 2
      if (small === 'd') return { set: DIGIT, negated }
      if (small === 's') return { set: this.#unicode ? SPACE : BYTE_SPACE, negated }
      return { set: ignoreCase ? fold(WORD, this.#unicode) : WORD, negated }
    }
    if (this.#unicode && small === 'p') {
      this.#at += 3
      const set = meant({ set: ofProperty(this.#until('}')), negated }, LAST_CODE_POINT)
      return { set: ignoreCase ? fold(set, true) : set, negated: false }
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
  #class(modes: Modes): void {
    const negated = this.#take('^')
    const shorthands: Shorthand[] = []
    const ranges: [Atom, Atom][] = []
    const add = (member: Atom | Shorthand): void => {
      if ('set' in member) shorthands.push(member)
      else ranges.push([member, member])
    }
    while (!this.#take(']')) {
      const first = this.#member(modes)
      // A hyphen at the end is a hyphen, and so is one beside `\w`.
      if (!this.#peek('-') || this.#source[this.#at + 1] === ']') {
        add(first)
        continue
      }
      this.#at++
      const last = this.#member(modes)
      if ('set' in first || 'set' in last) for (const member of [first, HYPHEN, last]) add(member)
      else ranges.push([first, last])
    }
    const high = ranges.flat().filter(({ code }) => code > 0x7f && !this.#unicode)
    const characters = this.#unicode || high.some(({ byte }) => !byte)
    if (characters && high.some(({ byte }) => byte)) {
      throw this.#refuse(
        'a class of both bytes (\\x80 to \\xff) and characters beyond ASCII; the flag u makes all of them characters',
      )
    }
    const end = this.#last(characters)
    const listed = union(ranges.map(([first, last]) => [first.code, last.code]))
    // Bytes have no case beyond ASCII.
    const folded = !modes.ignoreCase ? listed : characters ? fold(listed, this.#unicode) : foldAscii(listed)
    const set = union(folded, ...shorthands.map((shorthand) => meant(shorthand, end)))
    this.#set(negated ? complement(set, end) : set, characters)
  }

  /** One of a set, without what must not be in it. */
  #set(set: CodePoints, characters: boolean): void {
    const end = this.#last(characters)
    const allowed = this.#withinLines ? complement(union(complement(set, end), [[NEWLINE, NEWLINE]]), end) : set
    const ranges = characters ? withoutSurrogates(allowed) : allowed
    this.#emit(characters ? Part.CHARACTER : Part.BYTE, ranges.length)
    for (const range of ranges) this.#emit(...range)
  }

  #literal(code: number, { ignoreCase }: Modes): void {
    if (this.#withinLines && code === NEWLINE) throw this.#refuse('a line end where lines are searched one by one')
    const character: CodePoints = [[code, code]]
    const folded = ignoreCase ? fold(character, this.#unicode) : character
    if (folded.length > 1 || folded[0]?.[1] !== folded[0]?.[0]) return this.#set(folded, true)
    const bytes = Buffer.from(String.fromCodePoint(code))
    this.#emit(Part.LITERAL, bytes.length, ...bytes)
  }

  #member(modes: Modes): Atom | Shorthand {
    if (this.#take('\\b')) return { code: 8, byte: false }
    if (this.#take('\\-')) return HYPHEN
    if (this.#peek('\\')) return this.#shorthand(modes) ?? this.#escaped(true)
    return { code: this.#code(this.#source[this.#at++] ?? ''), byte: false }
  }
}

/** All of a shorthand, of what there is up to `end`. */
function meant({ set, negated }: Shorthand, end: number): CodePoints {
  return negated ? complement(set, end) : set
}
