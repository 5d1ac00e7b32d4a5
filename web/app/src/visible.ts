// Text that comes from applications may hold anything: control characters, marks that turn the direction of what follows.
// Preact puts it into the page as text, never as markup; this makes the invisible part visible, as the command line does.

// C0 without tab and line feed, DEL, C1, marks of direction, separators of lines, the byte order mark.
const hidden = new RegExp(
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]', 'g')

/** The text with every character that could not be seen, or would hide others, as an escape: "\x1b", "\u202e". An empty name is null in
 * an answer, and empty here. */
export function visible(text: string | null): string {
  return (text ?? '').replace(hidden, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/** The same in one line of at most `most` characters. */
export function oneLine(text: string | null, most = 400): string {
  if (text === null) return ''
  const cut = text.length > most ? text.slice(0, most) + '…' : text
  return visible(cut.replace(/\s+/g, ' '))
}
