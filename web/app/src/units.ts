// How values are shown: always with their unit, with three significant digits, aligned by their column.

export const NOTHING = '–'

/** A time span: "1.24 s", "87.3 ms", "412 µs". */
export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING
  const size = Math.abs(value)
  if (size === 0) return '0 ms'
  if (size >= 86400 * 2) return `${three(value / 86400)} d`
  if (size >= 7200) return `${three(value / 3600)} h`
  if (size >= 120) return `${three(value / 60)} min`
  if (size >= 0.9995) return `${three(value)} s`
  if (size >= 0.0009995) return `${three(value * 1e3)} ms`
  return `${three(value * 1e6)} µs`
}

/** A size: "990 B", "14.2 kB", "2.31 MB". */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING
  const names = ['B', 'kB', 'MB', 'GB', 'TB']
  let size = value
  let at = 0
  while (Math.abs(size) >= 999.5 && at < names.length - 1) {
    size /= 1000
    at += 1
  }
  return `${at === 0 ? size : three(size)} ${names[at]}`
}

/** Not by Intl: its tables take a browser longer than all else that the first page evaluates. */
function grouped(value: number): string {
  return value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A count: "1,204". */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? NOTHING : grouped(value)
}

/** A number with a fraction: "214", "3.4". */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING
  return Math.abs(value) >= 999.5 ? grouped(value) : three(value).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')
}

/** A count with its noun: "1 row", "4,000 rows". */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** A growth: 0.62 is "+62 %". */
export function growth(value: number | null | undefined): string {
  if (value === null || value === undefined) return NOTHING
  const percent = value * 100
  return `${percent > 0 ? '+' : percent < 0 ? '−' : ''}${Math.abs(percent).toFixed(Math.abs(percent) < 9.95 ? 1 : 0)} %`
}

/** A part of a whole: "12 %". */
export function share(part: number, whole: number): string {
  if (whole <= 0) return NOTHING
  const percent = (100 * part) / whole
  return `${percent >= 9.95 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)} %`
}

/** A point in time in the reader's zone: "14:03:07.120", with the day in front when it is another one than `now`. */
export function moment(iso: string | null | undefined, now = new Date()): string {
  if (!iso) return NOTHING
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return iso
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return time.toDateString() === now.toDateString() ? clock : `${day(time)} ${clock}`
}

/** The same where room is short: "14:03:07", "11-20 09:05" of another day, "2025-11-20" of another year. */
export function shortMoment(iso: string | null | undefined, now = new Date()): string {
  const text = moment(iso, now)
  if (!/^\d{4}-\d\d-\d\d \d/.test(text)) return text
  return text.startsWith(`${now.getFullYear()}-`) ? text.slice(5, 16) : text.slice(0, 10)
}

/** The same with everything that is known, for where there is room: "2026-11-21 14:03:07.120". */
export function wholeMoment(iso: string | null | undefined): string {
  if (!iso) return NOTHING
  const time = new Date(iso)
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
  return `${day(time)} ${clock}.${String(time.getMilliseconds()).padStart(3, '0')}`
}

function day(time: Date): string {
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}

function three(value: number): string {
  const size = Math.abs(value)
  return (value < 0 ? '−' : '') + size.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2)
}
