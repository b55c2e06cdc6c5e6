// What lies on the planes: the mask with its outline, clicks, the crosshair, letters and scales, drawn anew in a second
//  canvas at each change. The mask never goes through the graphics card, so a new one appears without a flicker.
import type { Click, Voxel } from './api'
import { isLight } from './colors'
import { capital } from './dom'
import type { Grid, Triple } from './grid'
import type { Settings } from './settings'
import { COLORS, drawClick, FONT, write } from './marks'
import { drawColors, drawLength, drawWindow } from './scales'
import { AXES, type Box, type Plane, type Slices, type Tile } from './slices'

const LETTERS: Record<Plane, { left: string; right: string; top: string; bottom: string }> = {
  axial: { left: 'R', right: 'L', top: 'A', bottom: 'P' },
  coronal: { left: 'R', right: 'L', top: 'H', bottom: 'F' },
  sagittal: { left: 'A', right: 'P', top: 'H', bottom: 'F' },
}

export interface Scene {
  grid: Grid
  cursor: Voxel
  clicks: readonly Click[]
  selected: number | null // id of a click
  mask: Uint8Array | null
  settings: Readonly<Settings>
  plane: Plane // the one that keys move in
}

export function drawOverlay(canvas: HTMLCanvasElement, slices: Slices, scene: Scene | null): void {
  const below = slices.canvas
  const pen = canvas.getContext('2d')
  if (!below || !pen) return
  if (canvas.width !== below.width || canvas.height !== below.height) {
    canvas.width = below.width
    canvas.height = below.height
  }
  pen.clearRect(0, 0, canvas.width, canvas.height)
  if (!scene) return
  const scale = below.width / Math.max(below.clientWidth, 1)
  const tiles = slices.tiles()
  for (const tile of tiles) {
    pen.save()
    clipTo(pen, tile.image)
    if (scene.mask && scene.settings.mask) drawMask(pen, tile, scene, scene.mask, scale)
    drawCrosshair(pen, tile, scene, scale)
    pen.restore()
    pen.save()
    clipTo(pen, tile.pane)
    drawClicks(pen, tile, scene, scale)
    pen.restore()
    drawLetters(pen, tile, scene, scale)
    drawLength(pen, tile, scene.grid, scene.settings, scale)
  }
  const [first] = tiles
  if (first) {
    drawColors(pen, first, scene.settings, scale)
    drawWindow(pen, first, scene.settings, scale)
  }
  drawGaps(pen, tiles, canvas)
}

function drawMask(pen: CanvasRenderingContext2D, tile: Tile, scene: Scene, mask: Uint8Array, scale: number): void {
  const { grid, settings } = scene
  const { across, up, through } = AXES[tile.plane]
  const at = grid.toRas(scene.cursor)
  const ras: Triple = [0, 0, 0]
  ras[through] = at[through]
  const base = grid.indexOfRas(ras)
  const [stepU, stepV, sizeU, sizeV] = [grid.step[across], grid.step[up], grid.dimsRAS[across], grid.dimsRAS[up]]
  const inside = (u: number, v: number) =>
    u >= 0 && v >= 0 && u < sizeU && v < sizeV && mask[base + u * stepU + v * stepV] !== 0
  const corner = (u: number, v: number) => {
    const edge: Triple = [0, 0, 0]
    edge[across] = u - 0.5
    edge[up] = v - 0.5
    return tile.toPixel(edge)
  }
  const fill = new Path2D()
  const outline = new Path2D()
  const line = (a: [number, number], b: [number, number]) => {
    outline.moveTo(...a)
    outline.lineTo(...b)
  }
  for (let v = 0; v < sizeV; v++) {
    for (let u = 0; u < sizeU; u++) {
      if (!inside(u, v)) continue
      if (!inside(u, v - 1)) line(corner(u, v), corner(u + 1, v))
      if (!inside(u, v + 1)) line(corner(u, v + 1), corner(u + 1, v + 1))
      if (!inside(u - 1, v)) line(corner(u, v), corner(u, v + 1))
      if (!inside(u + 1, v)) line(corner(u + 1, v), corner(u + 1, v + 1))
      if (inside(u - 1, v)) continue
      let end = u + 1 // a run of voxels is one rectangle, so that no seams show
      while (inside(end, v)) end++
      const [x0, y0] = corner(u, v)
      const [x1, y1] = corner(end, v + 1)
      fill.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0))
    }
  }
  pen.globalAlpha = settings.maskOpacity
  pen.fillStyle = COLORS.mask
  pen.fill(fill)
  pen.globalAlpha = 1
  if (!settings.outline) return
  pen.lineCap = 'square'
  pen.strokeStyle = 'rgba(0, 0, 0, 0.55)'
  pen.lineWidth = 3 * scale
  pen.stroke(outline)
  pen.strokeStyle = COLORS.mask
  pen.lineWidth = 1.4 * scale
  pen.stroke(outline)
}

function drawCrosshair(pen: CanvasRenderingContext2D, tile: Tile, scene: Scene, scale: number): void {
  const [x, y] = tile.toPixel(scene.grid.toRas(scene.cursor)).map((at) => Math.round(at) + 0.5) as [number, number]
  const gap = 12 * scale
  pen.strokeStyle = isLight(scene.settings) ? COLORS.crosshairOnLight : COLORS.crosshair
  pen.lineWidth = scale
  pen.beginPath()
  for (const side of [-1, 1]) {
    pen.moveTo(x + side * gap, y)
    pen.lineTo(side < 0 ? tile.image.left : tile.image.right, y)
    pen.moveTo(x, y + side * gap)
    pen.lineTo(x, side < 0 ? tile.image.top : tile.image.bottom)
  }
  pen.stroke()
}

/** Clicks of this slice, and faintly those up to two slices away. */
function drawClicks(pen: CanvasRenderingContext2D, tile: Tile, scene: Scene, scale: number): void {
  const { through } = AXES[tile.plane]
  const here = scene.grid.toRas(scene.cursor)[through]
  for (const click of scene.clicks) {
    const ras = scene.grid.toRas(click)
    const off = Math.abs(ras[through] - here)
    if (off > 2) continue
    const [x, y] = tile.toPixel(ras)
    drawClick(pen, x, y, click.label, scale, { faint: off > 0, selected: click.id === scene.selected })
  }
}

/** Orientation letters at the image's edges, and the plane's name with its slice. */
function drawLetters(pen: CanvasRenderingContext2D, tile: Tile, scene: Scene, scale: number): void {
  const letters = LETTERS[tile.plane]
  const light = isLight(scene.settings)
  const { left, top, right, bottom } = tile.image
  const [middleX, middleY, pad] = [(left + right) / 2, (top + bottom) / 2, 8 * scale]
  const letter = (text: string, x: number, y: number, align: CanvasTextAlign, baseline: CanvasTextBaseline) => {
    pen.textAlign = align
    pen.textBaseline = baseline
    write(pen, text, x, y, light, scale)
  }
  pen.fillStyle = light ? COLORS.letterOnLight : COLORS.letter
  pen.font = `600 ${13 * scale}px ${FONT}`
  if (right - left > 40 * scale && bottom - top > 40 * scale) {
    letter(letters.left, left + pad, middleY, 'left', 'middle')
    letter(letters.right, right - pad, middleY, 'right', 'middle')
    letter(letters.top, middleX, top + pad, 'center', 'top')
    letter(letters.bottom, middleX, bottom - pad, 'center', 'bottom')
  }
  const { through } = AXES[tile.plane]
  const slice = scene.grid.toRas(scene.cursor)[through] + 1
  pen.font = `${tile.plane === scene.plane ? 600 : 400} ${11.5 * scale}px ${FONT}`
  const caption = `${capital(tile.plane)} ${slice} / ${scene.grid.dimsRAS[through]}`
  letter(caption, tile.pane.left + pad, tile.pane.top + pad, 'left', 'top')
}

/** What lies between the panes. */
function drawGaps(pen: CanvasRenderingContext2D, tiles: Tile[], canvas: HTMLCanvasElement): void {
  const gaps = new Path2D()
  gaps.rect(0, 0, canvas.width, canvas.height)
  for (const { pane } of tiles) gaps.rect(pane.left, pane.top, pane.right - pane.left, pane.bottom - pane.top)
  pen.fillStyle = COLORS.gap
  pen.fill(gaps, 'evenodd')
}

function clipTo(pen: CanvasRenderingContext2D, { left, top, right, bottom }: Box): void {
  pen.beginPath()
  pen.rect(left, top, Math.max(right - left, 0), Math.max(bottom - top, 0))
  pen.clip()
}
