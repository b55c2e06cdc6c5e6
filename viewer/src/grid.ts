// The case's grid, whose voxels clicks name, and the same voxels in the order that NiiVue draws: its axes are the
// case's axes nearest to right, anterior and superior, in this order and direction.
import type { Voxel } from './api'

export type Triple = [number, number, number]

/** What this needs of NiiVue's image; NVImage computes it from the header. */
export interface Oriented {
  dims: Triple // of the case's grid
  dimsRAS: Triple
  start: Triple // where RAS voxel 0, 0, 0 lies in the file's array, the sum of the three
  step: Triple // in the file's array, for one voxel along each RAS axis
  spacingRAS: Triple // mm
}

export class Grid {
  readonly dims: Triple
  readonly dimsRAS: Triple
  readonly spacingRAS: Triple
  readonly step: Triple
  readonly start: number
  private readonly strides: Triple
  private readonly own: Triple // the case's axis behind each RAS axis

  constructor(image: Oriented) {
    this.dims = image.dims
    this.dimsRAS = image.dimsRAS
    this.spacingRAS = image.spacingRAS
    this.step = image.step
    this.start = image.start[0] + image.start[1] + image.start[2]
    this.strides = [1, this.dims[0], this.dims[0] * this.dims[1]]
    const taken = new Set<number>()
    this.own = this.step.map((step, axis) => {
      // the axis of the same stride and length; axes one voxel long may share a stride
      const own = this.strides.findIndex(
        (stride, k) => stride === Math.abs(step) && this.dims[k] === this.dimsRAS[axis] && !taken.has(k),
      )
      taken.add(own)
      return own
    }) as Triple
  }

  /** Where a RAS voxel lies in the file's array. */
  indexOfRas(ras: Triple): number {
    return this.start + ras[0] * this.step[0] + ras[1] * this.step[1] + ras[2] * this.step[2]
  }

  indexOf(voxel: Voxel): number {
    return voxel.x + voxel.y * this.strides[1] + voxel.z * this.strides[2]
  }

  fromRas(ras: Triple): Voxel {
    return this.voxelAt(this.indexOfRas(ras))
  }

  /** The voxel at a place of the file's array. */
  voxelAt(index: number): Voxel {
    const [, row, slice] = this.strides
    return { x: index % row, y: Math.floor(index / row) % this.dims[1], z: Math.floor(index / slice) }
  }

  toRas(voxel: Voxel): Triple {
    const coordinates: Triple = [voxel.x, voxel.y, voxel.z]
    return this.own.map((own, axis) => {
      const at = coordinates[own] ?? 0
      return (this.step[axis] ?? 1) < 0 ? (this.dimsRAS[axis] ?? 1) - 1 - at : at
    }) as Triple
  }

  contains(voxel: Voxel): boolean {
    return [voxel.x, voxel.y, voxel.z].every((at, axis) => at >= 0 && at < (this.dims[axis] ?? 0))
  }

  middle(): Voxel {
    return this.fromRas(this.dimsRAS.map((size) => Math.floor(size / 2)) as Triple)
  }

  /** A RAS voxel moved into the grid where it lies outside. */
  clampRas(ras: Triple): Triple {
    return ras.map((at, axis) => Math.min(Math.max(Math.round(at), 0), (this.dimsRAS[axis] ?? 1) - 1)) as Triple
  }
}
