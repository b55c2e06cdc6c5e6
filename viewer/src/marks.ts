// Marks, letters and their colors, which planes and projection share. Labels differ in shape as well, for readers who see no red.
import type { Label } from './api'

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
