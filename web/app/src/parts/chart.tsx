// A line over time, drawn by uPlot.

import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useSignal } from '../signal'
import { color, theme } from '../theme'
import { LEAST, padded } from '../time/points'

interface Series {
  title: string
  color: string
  values: number[]
}

/** A clock of 24 hours. */
function clock(time: number): string {
  return new Date(time * 1000).toTimeString().slice(0, 8)
}

/** Half a minute at least, so that the first points do not fill the whole width. */
function lately(_: uPlot, first: number | null, last: number | null): [number, number] {
  const end = last ?? Date.now() / 1000
  return [Math.min(first ?? end, end - LEAST), end]
}

function options(width: number, series: Series[]): uPlot.Options {
  const axis = { stroke: color('muted'), grid: { stroke: color('line'), width: 1 }, ticks: { stroke: color('line'), width: 1 }, font: '11px system-ui' }
  return {
    width, height: 150, cursor: { show: false }, legend: { live: false },
    axes: [{ ...axis, space: 90, values: (_, times) => times.map(clock) }, { ...axis, size: 44 }],
    scales: { x: { range: lately }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    series: [{}, ...series.map((one) => ({
      label: one.title, stroke: color(one.color), width: 1.5, points: { show: false },
    }))],
  }
}

export function Chart({ label, times, series }: { label: string; times: number[]; series: Series[] }) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>()
  const look = useSignal(theme)
  const points = padded(times, series.map((one) => one.values), Date.now() / 1000)
  const data = [points.times, ...points.values] as uPlot.AlignedData
  useEffect(() => {
    const element = box.current!
    plot.current = new uPlot(options(element.clientWidth, series), data, element)
    const observer = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: 150 }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.current?.destroy()
    }
  }, [look])
  useEffect(() => plot.current?.setData(data), [times])
  return <div class="chart" ref={box} role="img" aria-label={label} />
}
