// Maximum-intensity projections of PET around the body's long axis, computed in a worker (mip-worker.ts).
import type { Grid, Triple } from './grid'

/** PET on RAS axes, a few millimeters a voxel, what projections are made of. */
export interface Coarse {
  values: Float32Array // x fastest
  dims: Triple
  factor: Triple // how many voxels of the case each of these took the maximum of, along each RAS axis
  spacing: Triple // mm
}

/** One direction of view. */
export interface Frame {
  values: Float32Array // SUV, row by row from the head down
  depths: Uint16Array // at which step along the ray the maximum was found
}

/** How frames lie in space: `step` mm a pixel, turned about the middle of the image. */
export interface Screen {
  width: number
  height: number
  depth: number // steps along a ray
  step: number // mm across, and along a ray
  rise: number // mm a row
}

const FINEST_MM = 3

/** The maximum over blocks, so that voxels are at least some 3 mm in size and no hot one is lost. */
export function coarsen(grid: Grid, data: ArrayLike<number>, slope: number, intercept: number): Coarse {
  const { dimsRAS: dims, spacingRAS: spacing, step } = grid
  const factor = spacing.map((mm) => Math.max(1, Math.round(FINEST_MM / mm))) as Triple
  const size = dims.map((count, axis) => Math.ceil(count / (factor[axis] ?? 1))) as Triple
  const values = new Float32Array(size[0] * size[1] * size[2])
  for (let z = 0; z < dims[2]; z++) {
    for (let y = 0; y < dims[1]; y++) {
      const row = (Math.floor(z / factor[2]) * size[1] + Math.floor(y / factor[1])) * size[0]
      let index = grid.indexOfRas([0, y, z])
      for (let x = 0; x < dims[0]; x++, index += step[0]) {
        const at = row + Math.floor(x / factor[0])
        const value = (data[index] as number) * slope + intercept
        if (value > (values[at] as number)) values[at] = value
      }
    }
  }
  return { values, dims: size, factor, spacing: spacing.map((mm, axis) => mm * (factor[axis] ?? 1)) as Triple }
}

/** Rays across the body at any angle stay on the screen: it is as wide as the diagonal of an axial slice needs. */
export function screenOf(coarse: Coarse): Screen {
  const [x, y] = [coarse.dims[0] * coarse.spacing[0], coarse.dims[1] * coarse.spacing[1]]
  const step = 0.7 * Math.min(coarse.spacing[0], coarse.spacing[1]) // no voxel lies between rays or steps at any angle
  const across = Math.ceil(Math.max(x, y) / step)
  return { width: across, height: coarse.dims[2], depth: Math.ceil(Math.hypot(x, y) / step), step, rise: coarse.spacing[2] }
}

/** The directions of a ray and of the screen's width in a slice; at 0 degrees we look from the front, right on the left. */
export function directions(angle: number): { across: [number, number]; along: [number, number] } {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  return { across: [-cos, sin], along: [-sin, -cos] }
}

export function project(coarse: Coarse, screen: Screen, angle: number): Frame {
  const { values, dims, spacing } = coarse
  const frame = {
    values: new Float32Array(screen.width * screen.height),
    depths: new Uint16Array(screen.width * screen.height),
  }
  const { across, along } = directions(angle)
  const [nx, ny] = dims
  // one slice's rays are those of each slice: where they cross voxels is computed once
  const most = screen.width * screen.depth
  const voxel = new Int32Array(most)
  const column = new Int32Array(most)
  const depth = new Uint16Array(most)
  let count = 0
  for (let i = 0; i < screen.width; i++) {
    const u = (i + 0.5 - screen.width / 2) * screen.step
    for (let j = 0; j < screen.depth; j++) {
      const v = (j + 0.5 - screen.depth / 2) * screen.step
      const x = Math.floor((u * across[0] + v * along[0]) / spacing[0] + nx / 2)
      const y = Math.floor((u * across[1] + v * along[1]) / spacing[1] + ny / 2)
      if (x < 0 || y < 0 || x >= nx || y >= ny) continue
      voxel[count] = y * nx + x
      column[count] = i
      depth[count++] = j
    }
  }
  for (let z = 0; z < dims[2]; z++) {
    const slice = z * nx * ny
    const row = (screen.height - 1 - z) * screen.width
    for (let k = 0; k < count; k++) {
      const value = values[slice + (voxel[k] as number)] as number
      const pixel = row + (column[k] as number)
      if (value <= (frame.values[pixel] as number)) continue
      frame.values[pixel] = value
      frame.depths[pixel] = depth[k] as number
    }
  }
  return frame
}

/** Where a point (RAS mm from the image's corner) appears: column and row of the screen, not rounded. */
export function onScreen(coarse: Coarse, screen: Screen, angle: number, mm: Triple): [number, number] {
  const { across } = directions(angle)
  const x = mm[0] - (coarse.dims[0] * coarse.spacing[0]) / 2
  const y = mm[1] - (coarse.dims[1] * coarse.spacing[1]) / 2
  const u = x * across[0] + y * across[1]
  return [u / screen.step + screen.width / 2, screen.height - mm[2] / screen.rise]
}

/** The point (RAS mm from the image's corner) that a pixel of a frame shows. */
export function inSpace(coarse: Coarse, screen: Screen, angle: number, column: number, row: number, depth: number): Triple {
  const { across, along } = directions(angle)
  const u = (column + 0.5 - screen.width / 2) * screen.step
  const v = (depth + 0.5 - screen.depth / 2) * screen.step
  return [
    u * across[0] + v * along[0] + (coarse.dims[0] * coarse.spacing[0]) / 2,
    u * across[1] + v * along[1] + (coarse.dims[1] * coarse.spacing[1]) / 2,
    (screen.height - row - 0.5) * screen.rise,
  ]
}
