// Colors and shapes that planes and projection share. Labels differ in shape as well, for readers who see no red.
import type { Label } from './api'
import type { PetColors, Settings } from './settings'

export const COLORS = {
  mask: '#2fe0f0',
  tumor: '#5dff8f',
  background: '#ff7ab2',
  crosshair: 'rgba(150, 190, 255, 0.55)',
  crosshairOnLight: 'rgba(30, 80, 170, 0.5)',
  letter: '#f2f5f9',
  letterOnLight: '#1d2733',
  gap: '#1c232b',
}

/** Red, green and blue, 0 to 255, of an uptake between the window's limits, 0 to 1: black, red, yellow, white; or gray. */
export function petColor(colors: PetColors, level: number): [number, number, number] {
  const part = (from: number, to: number) => 255 * Math.min(Math.max((level - from) / (to - from), 0), 1)
  if (colors === 'inverse') return [255 - part(0, 1), 255 - part(0, 1), 255 - part(0, 1)]
  return [part(0, 95 / 255), part(95 / 255, 191 / 255), part(191 / 255, 1)]
}

/** Whether the planes have a white ground. */
export function isLight(settings: Readonly<Settings>): boolean {
  return settings.shown === 'pet' && settings.petColors === 'inverse'
}

/** Text with a rim of the ground's color, so that it is readable on any image. */
export function write(pen: CanvasRenderingContext2D, text: string, x: number, y: number, light: boolean, scale: number): void {
  pen.lineJoin = 'round'
  pen.lineWidth = 3 * scale
  pen.strokeStyle = light ? 'rgba(255, 255, 255, 0.85)' : 'rgba(0, 0, 0, 0.8)'
  pen.strokeText(text, x, y)
  pen.fillText(text, x, y)
}

export const FONT = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"

interface Emphasis {
  faint?: boolean
  selected?: boolean
}

/** A ring with a plus for tumor, with a minus for background. */
export function drawClick(
  pen: CanvasRenderingContext2D,
  x: number,
  y: number,
  label: Label,
  scale: number,
  { faint = false, selected = false }: Emphasis = {},
): void {
  const radius = (selected ? 9 : 7) * scale
  const arm = 3.5 * scale
  const shape = new Path2D()
  shape.arc(x, y, radius, 0, 2 * Math.PI)
  shape.moveTo(x - arm, y)
  shape.lineTo(x + arm, y)
  if (label === 'tumor') {
    shape.moveTo(x, y - arm)
    shape.lineTo(x, y + arm)
  }
  pen.globalAlpha = faint ? 0.4 : 1
  pen.strokeStyle = 'rgba(0, 0, 0, 0.85)'
  pen.lineWidth = (selected ? 5.5 : 4.5) * scale
  pen.stroke(shape)
  pen.strokeStyle = COLORS[label]
  pen.lineWidth = (selected ? 2.6 : 2) * scale
  pen.stroke(shape)
  pen.globalAlpha = 1
}
