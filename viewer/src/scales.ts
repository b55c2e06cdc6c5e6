// Scales on the planes: which color is which SUV, which gray which CT number, and how long some centimeters are.
import { isLight, petColor } from './colors'
import type { Grid } from './grid'
import { COLORS, FONT, write } from './marks'
import { CT_WINDOWS, type Settings } from './settings'
import { AXES, type Tile } from './slices'

const LENGTHS = [200, 100, 50, 20, 10, 5, 2, 1] // mm

/** PET's colors as a bar at the lower right of a pane, with the window's limits and its middle. */
export function drawColors(pen: CanvasRenderingContext2D, { pane }: Tile, settings: Readonly<Settings>, scale: number): void {
  if (settings.shown === 'ct') return
  const [width, gap] = [8 * scale, 12 * scale]
  const height = Math.min(0.3 * (pane.bottom - pane.top), 150 * scale)
  const [left, bottom] = [pane.right - gap - width, pane.bottom - gap]
  const colors = pen.createLinearGradient(0, bottom, 0, bottom - height)
  for (let k = 0; k <= 16; k++) colors.addColorStop(k / 16, `rgb(${petColor(settings.petColors, k / 16).join(' ')})`)
  pen.fillStyle = colors
  pen.fillRect(left, bottom - height, width, height)
  pen.strokeStyle = 'rgba(150, 165, 182, 0.8)'
  pen.lineWidth = scale
  pen.strokeRect(left - 0.5 * scale, bottom - height - 0.5 * scale, width + scale, height + scale)
  const light = isLight(settings)
  pen.fillStyle = light ? COLORS.letterOnLight : COLORS.letter
  pen.font = `${11 * scale}px ${FONT}`
  pen.textAlign = 'right'
  pen.textBaseline = 'middle'
  for (const share of [0, 0.5, 1]) {
    const suv = settings.suvLow + share * (settings.suvHigh - settings.suvLow)
    write(pen, String(Number(suv.toFixed(1))), left - 5 * scale, bottom - share * height, light, scale)
  }
  pen.textBaseline = 'bottom'
  write(pen, 'SUV', pane.right - gap, bottom - height - 5 * scale, light, scale)
}

/** CT's window in words at the upper right of a pane. */
export function drawWindow(pen: CanvasRenderingContext2D, { pane }: Tile, settings: Readonly<Settings>, scale: number): void {
  if (settings.shown === 'pet') return
  const { width, level } = CT_WINDOWS[settings.ctWindow]
  pen.fillStyle = COLORS.letter
  pen.font = `${11.5 * scale}px ${FONT}`
  pen.textAlign = 'right'
  pen.textBaseline = 'top'
  write(pen, `W ${width}  L ${level}`.replace('-', '−'), pane.right - 8 * scale, pane.top + 8 * scale, false, scale)
}

/** A bar of a round length at the lower left of a pane. */
export function drawLength(
  pen: CanvasRenderingContext2D,
  tile: Tile,
  grid: Grid,
  settings: Readonly<Settings>,
  scale: number,
): void {
  const { pane } = tile
  const { across } = AXES[tile.plane]
  const [x0, x1] = [0, 1].map((at) => tile.toPixel([at, at, at])[0]) as [number, number]
  const perMm = Math.abs(x1 - x0) / grid.spacingRAS[across]
  const most = Math.min(110 * scale, 0.4 * (pane.right - pane.left))
  const mm = LENGTHS.find((length) => length * perMm <= most)
  if (!mm) return
  const light = isLight(settings)
  const [left, bottom, tick] = [pane.left + 12.5 * scale, pane.bottom - 12.5 * scale, 4 * scale]
  const bar = new Path2D()
  bar.moveTo(left, bottom - tick)
  bar.lineTo(left, bottom)
  bar.lineTo(left + mm * perMm, bottom)
  bar.lineTo(left + mm * perMm, bottom - tick)
  pen.lineCap = 'square'
  pen.strokeStyle = light ? 'rgba(255, 255, 255, 0.85)' : 'rgba(0, 0, 0, 0.8)'
  pen.lineWidth = 3 * scale
  pen.stroke(bar)
  pen.strokeStyle = pen.fillStyle = light ? COLORS.letterOnLight : COLORS.letter
  pen.lineWidth = scale
  pen.stroke(bar)
  pen.font = `${11 * scale}px ${FONT}`
  pen.textAlign = 'left'
  pen.textBaseline = 'bottom'
  write(pen, mm < 10 ? `${mm} mm` : `${mm / 10} cm`, left + 5 * scale, bottom - 5 * scale, light, scale)
}
