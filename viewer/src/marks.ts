// Colors and shapes that planes and projection share. Labels differ in shape as well, for readers who see no red.
import type { Label } from './api'

export const COLORS = {
  mask: '#2fe0f0',
  tumor: '#5dff8f',
  background: '#ff7ab2',
  crosshair: 'rgba(150, 190, 255, 0.55)',
  crosshairOnLight: 'rgba(30, 80, 170, 0.5)',
  letter: '#f2f5f9',
  letterOnLight: '#1d2733',
  caption: '#94a2b3',
}

interface Look {
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
  { faint = false, selected = false }: Look = {},
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
