// The mask as the projection shows it: its surface's voxels, seen from an angle, in one color.
import type { Grid } from './grid'
import { onScreen, type Coarse, type Screen } from './projection'

const FINE = 2 // pixels of this layer a pixel of the frame

/** The mask's color as a canvas has it in memory (alpha, blue, green, red), on white and on black. */
const ON_LIGHT = 0xffc4a30a
const ON_DARK = 0xfff0e02f

export class LesionLayer {
  readonly canvas = document.createElement('canvas')
  private points: Float32Array = new Float32Array()
  private pointsOf: Uint8Array | null = null

  paint(mask: Uint8Array, grid: Grid, coarse: Coarse, screen: Screen, angle: number, light: boolean): void {
    if (this.pointsOf !== mask) {
      this.points = surface(mask, grid)
      this.pointsOf = mask
    }
    const [width, height] = [screen.width * FINE, screen.height * FINE]
    Object.assign(this.canvas, { width, height })
    const pen = this.canvas.getContext('2d')
    const image = pen?.createImageData(width, height)
    if (!pen || !image) return
    const pixels = new Uint32Array(image.data.buffer)
    const voxel = Math.SQRT2 * Math.max(grid.spacingRAS[0], grid.spacingRAS[1]) // seen along its diagonal, at most
    const wide = Math.max(Math.round((FINE * voxel) / screen.step), 1)
    const high = Math.max(Math.round((FINE * grid.spacingRAS[2]) / screen.rise), 1)
    const { left, top, perX, perY, perZ } = linear(coarse, screen, angle)
    const { points } = this
    for (let k = 0; k < points.length; k += 3) {
      const [x, y, z] = [points[k] as number, points[k + 1] as number, points[k + 2] as number]
      const column = Math.round(FINE * (left + x * perX + y * perY) - wide / 2)
      const row = Math.round(FINE * (top + z * perZ) - high / 2)
      for (let down = Math.max(row, 0); down < Math.min(row + high, height); down++) {
        const start = down * width
        pixels.fill(light ? ON_LIGHT : ON_DARK, start + Math.max(column, 0), start + Math.min(column + wide, width))
      }
    }
    pen.putImageData(image, 0, 0)
  }
}

/** The voxels at the mask's surface, x, y, z after one another, mm from the image's corner: inner ones lie behind. */
function surface(mask: Uint8Array, grid: Grid): Float32Array {
  const [dx, dy] = grid.step
  const places: number[] = []
  for (let at = mask.indexOf(1); at >= 0; at = mask.indexOf(1, at + 1)) {
    if (!(mask[at - dx] && mask[at + dx] && mask[at - dy] && mask[at + dy])) places.push(at)
  }
  const points = new Float32Array(3 * places.length)
  places.forEach((at, k) => {
    const ras = grid.toRas(grid.voxelAt(at))
    for (const axis of [0, 1, 2] as const) points[3 * k + axis] = (ras[axis] + 0.5) * grid.spacingRAS[axis]
  })
  return points
}

/** What `onScreen` does, as factors: a mask may have a million voxels. */
function linear(coarse: Coarse, screen: Screen, angle: number) {
  const [left, top] = onScreen(coarse, screen, angle, [0, 0, 0])
  const perX = onScreen(coarse, screen, angle, [1, 0, 0])[0] - left
  const perY = onScreen(coarse, screen, angle, [0, 1, 0])[0] - left
  const perZ = onScreen(coarse, screen, angle, [0, 0, 1])[1] - top
  return { left, top, perX, perY, perZ }
}
