// Draws the part of a flame graph that is in view. Boxes narrower than a pixel are drawn together as one; text is drawn only where
// it can be read, so the time taken follows from the size of the picture and not from that of the profile.

import { firstEndingAfter, type Layout, type Origin } from './layout'

export const BOX = 18

export interface View {
  /** The span of the axis that fills the width, in nanoseconds. */
  from: number
  to: number
  /** Pixels that are scrolled away at the top. */
  top: number
}

export interface Palette {
  background: string
  text: string
  line: string
  selected: string
  match: string
  matchText: string
  faded: string
  origins: Record<Origin, string>
}

export interface Scene {
  flame: Layout
  /** Per node: its frame; per frame: what is written in a box, and its origin. */
  frame: readonly number[]
  labels: readonly string[]
  origins: readonly Origin[]
  match: Uint8Array | undefined
  selected: number
  hovered: number
}

/** Draws `scene` into a canvas of width x height pixels of the style sheet. */
export function draw(context: CanvasRenderingContext2D, scene: Scene, view: View, width: number, height: number, palette: Palette): void {
  context.fillStyle = palette.background
  context.fillRect(0, 0, width, height)
  context.font = '12px ui-monospace, monospace'
  context.textBaseline = 'middle'
  const scale = width / (view.to - view.from)
  const first = Math.max(0, Math.floor(view.top / BOX))
  const last = Math.min(scene.flame.depth - 1, Math.floor((view.top + height) / BOX))
  for (let level = first; level <= last; level += 1) drawLevel(context, scene, view, level, scale, width, palette)
}

function drawLevel(context: CanvasRenderingContext2D, scene: Scene, view: View, level: number, scale: number, width: number, palette: Palette): void {
  const { flame } = scene
  const top = level * BOX - view.top
  const end = flame.from[level + 1]!
  let drawn = -1 // the last column of pixels that has something
  for (let at = firstEndingAfter(flame, level, view.from); at < end; at += 1) {
    const node = flame.order[at]!
    const left = (flame.start[node]! - view.from) * scale
    if (left >= width) break
    const right = left + flame.length[node]! * scale
    if (right < drawn + 1) continue
    const x = Math.max(left, 0)
    const w = Math.max(Math.min(right, width) - x, 1)
    drawn = Math.floor(x + w)
    context.fillStyle = fill(scene, node, palette)
    context.fillRect(x, top, w > 3 ? w - 1 : w, BOX - 1)
    if (w > 28) label(context, scene, node, x, top, w, palette)
    if (node === scene.selected || node === scene.hovered) outline(context, x, top, w, palette, node === scene.selected)
  }
}

function fill(scene: Scene, node: number, palette: Palette): string {
  if (node === 0) return palette.faded
  const frame = scene.frame[node]!
  if (scene.match) return scene.match[frame] ? palette.match : palette.faded
  return palette.origins[scene.origins[frame]!]
}

function label(context: CanvasRenderingContext2D, scene: Scene, node: number, x: number, top: number, width: number, palette: Palette): void {
  const text = node === 0 ? 'the whole call' : scene.labels[scene.frame[node]!]!
  const room = Math.floor((width - 8) / 7.3)
  if (room < 2) return
  const matched = node !== 0 && scene.match?.[scene.frame[node]!] === 1
  context.fillStyle = matched ? palette.matchText : palette.text
  context.fillText(text.length > room ? text.slice(0, room - 1) + '…' : text, x + 4, top + BOX / 2)
}

function outline(context: CanvasRenderingContext2D, x: number, top: number, width: number, palette: Palette, selected: boolean): void {
  context.strokeStyle = palette.selected
  context.lineWidth = selected ? 2 : 1
  context.strokeRect(x + 1, top + 1, Math.max(width - 3, 1), BOX - 3)
}
