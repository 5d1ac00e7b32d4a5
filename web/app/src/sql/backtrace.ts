// A backtrace of the recorder: one frame a line, "FILE:LINE FUNCTION", innermost last.

export interface Frame {
  /** File and line, without the folder that packages are installed in. */
  place: string
  name: string
  /** Code that an administrator can have changed: a module, or what is not installed as a package. */
  ofApplication: boolean
}

const MODULES = ['/trytond/modules/', '/trytond/ir/', '/trytond/res/']

/** The frames, innermost first. */
export function frames(text: string): Frame[] {
  return text.split('\n').filter((line) => line.trim() !== '').map(frame).reverse()
}

/** The frame that an administrator can change: the innermost of the application. */
export function culprit(text: string): Frame | undefined {
  const all = frames(text)
  return all.find((entry) => entry.ofApplication) ?? all[0]
}

function frame(line: string): Frame {
  const trimmed = line.trim()
  const space = trimmed.indexOf(' ')
  const path = space < 0 ? trimmed : trimmed.slice(0, space)
  const packages = path.indexOf('-packages/')
  return {
    place: packages < 0 ? path : path.slice(packages + '-packages/'.length),
    name: space < 0 ? '' : trimmed.slice(space + 1),
    ofApplication: MODULES.some((folder) => path.includes(folder)) || (packages < 0 && !path.includes('/lib/python3')),
  }
}

/** The last parts of the path, for where room is short: "sale/sale.py:1200". */
export function shortPlace({ place }: Frame): string {
  return place.split('/').slice(-2).join('/')
}
