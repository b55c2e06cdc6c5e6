// The three planes: NiiVue draws CT and PET in a canvas; this says what, where and with which window, and translates
// between the canvas's pixels and the case's voxels.
import { Niivue, NVImage, SLICE_TYPE } from '@niivue/niivue'
import type { Voxel } from './api'
import { colormap, isLight, OVER_CT } from './colors'
import { Grid, type Triple } from './grid'
import { CT_WINDOWS, type Settings } from './settings'

export type Plane = 'axial' | 'coronal' | 'sagittal'

/** Which RAS axes run to the right or left, up, and through each plane. */
export const AXES: Record<Plane, { across: 0 | 1 | 2; up: 0 | 1 | 2; through: 0 | 1 | 2 }> = {
  axial: { across: 0, up: 1, through: 2 },
  coronal: { across: 0, up: 2, through: 1 },
  sagittal: { across: 1, up: 2, through: 0 },
}

const TYPES: Record<Plane, SLICE_TYPE> = {
  axial: SLICE_TYPE.AXIAL,
  coronal: SLICE_TYPE.CORONAL,
  sagittal: SLICE_TYPE.SAGITTAL,
}

/** A part of the canvas, in its pixels. */
export interface Box {
  left: number
  top: number
  right: number
  bottom: number
}

/** Where a plane was drawn, and which RAS voxel (not rounded) each pixel shows. */
export interface Tile {
  plane: Plane
  pane: Box // what the plane was given
  image: Box // what of it the image fills
  toPixel(ras: Triple): [number, number] // a voxel's center is at its whole number, its borders half a voxel off
  toRas(x: number, y: number): Triple // not rounded, outside the grid where the pixel is
}

/** A case's images, read and not yet shown. */
export interface Volumes {
  ct: NVImage
  pet: NVImage
  grid: Grid
}

/** Voxels as a file has them; a value is data times slope plus intercept. */
export interface Scaled {
  data: ArrayLike<number>
  slope: number
  intercept: number
}

export class Slices extends Niivue {
  grid: Grid | null = null
  ct: NVImage | null = null
  pet: NVImage | null = null
  afterDraw: (() => void) | null = null
  private filling = false
  private paneSize: [number, number] = [1, 1] // of the plane that is being drawn

  constructor() {
    super({
      isRadiologicalConvention: true, // the patient's right on the left
      sagittalNoseLeft: true,
      crosshairWidth: 0, // the overlay draws it, with a gap
      isOrientationTextVisible: false, // likewise
      isColorbar: false,
      dragAndDropEnabled: false,
      interactive: false, // pointer.ts and keys.ts are in charge
      backColor: [0, 0, 0, 1],
      loadingText: '',
      logLevel: 'silent',
    })
    for (const colors of ['hot', 'inverse'] as const) {
      this.addColormap(`${colors}-alone`, colormap(colors))
      this.addColormap(`${colors}-over`, colormap(colors, OVER_CT))
    }
  }

  override drawScene(): string | void {
    const text = super.drawScene()
    this.afterDraw?.()
    return text
  }

  /** CT and PET of two NIfTI files on one grid. */
  async read(ctFile: ArrayBuffer, petFile: ArrayBuffer): Promise<Volumes> {
    const [ct, pet] = await Promise.all([
      NVImage.loadFromUrl({ url: ctFile, name: 'ct.nii.gz', colormap: 'gray' }),
      NVImage.loadFromUrl({ url: petFile, name: 'pet.nii.gz', colormap: 'hot-over' }),
    ])
    const grid = gridOf(ct)
    if (gridOf(pet).dims.join() !== grid.dims.join()) throw new Error('CT and PET differ in their grids.')
    return { ct, pet, grid }
  }

  /** Takes a case in place of the one before; `paint` then shows it. */
  show({ ct, pet, grid }: Volumes): Grid {
    this.clear()
    this.filling = true
    this.addVolume(ct)
    this.addVolume(pet)
    this.filling = false
    Object.assign(this, { ct, pet, grid })
    return grid
  }

  /** Lets go of the case, which may be large. */
  clear(): void {
    this.filling = true
    for (const volume of [...this.volumes]) this.removeVolume(volume)
    this.filling = false
    this.ct = this.pet = this.grid = null
  }

  // NiiVue gives a plane no more of its pane than the whole image fills, so that one that is zoomed would be cut off
  // with room to spare. Here a plane has its pane, and the field of view grows until it has the pane's proportions.

  override calculateWidthHeight(_type: number, _scale: number[], width: number, height: number): [number, number] {
    return [width, height]
  }

  override draw2DMain(leftTopWidthHeight: number[], plane: SLICE_TYPE, at?: number): void {
    const [, , width = 1, height = 1] = leftTopWidthHeight
    this.paneSize = [width, height]
    super.draw2DMain(leftTopWidthHeight, plane, at)
  }

  override screenFieldOfViewExtendedVox(plane?: number): ReturnType<Niivue['screenFieldOfViewExtendedVox']> {
    const view = super.screenFieldOfViewExtendedVox(plane)
    const perPixel = Math.max(view.fovMM[0] / this.paneSize[0], view.fovMM[1] / this.paneSize[1])
    for (const axis of [0, 1] as const) {
      const more = perPixel * this.paneSize[axis] - view.fovMM[axis]
      view.mnMM[axis] -= more / 2
      view.mxMM[axis] += more / 2
      view.fovMM[axis] += more
    }
    return view
  }

  /** Hands the volumes to the graphics card; while a case is opened, not once for each of them. */
  override updateGLVolume(): void {
    if (!this.filling) super.updateGLVolume()
  }

  /** Colors and windows. */
  paint(settings: Readonly<Settings>): void {
    if (!this.ct || !this.pet) return
    const { width, level } = CT_WINDOWS[settings.ctWindow]
    this.ct.cal_min = level - width / 2
    this.ct.cal_max = level + width / 2
    // the map before the window: NiiVue guesses a window of its own whenever it is given a map
    this.pet.colormap = `${settings.petColors}-${settings.shown === 'fusion' ? 'over' : 'alone'}`
    this.pet.cal_min = settings.suvLow
    this.pet.cal_max = settings.suvHigh
    this.opts.backColor = isLight(settings) ? [1, 1, 1, 1] : [0, 0, 0, 1]
    this.pet.opacity = { fusion: settings.petShare, pet: 1, ct: 0 }[settings.shown]
    this.updateGLVolume()
  }

  /** Which voxel the three planes go through. */
  lookAt(voxel: Voxel): void {
    if (!this.grid) return
    const ras = this.grid.toRas(voxel)
    this.scene.crosshairPos = this.vox2frac(ras)
    this.drawScene()
  }

  /** Which planes are shown where: left, top, width and height as shares of the canvas. */
  arrange(planes: [Plane, [number, number, number, number]][]): void {
    this.setCustomLayout(planes.map(([plane, position]) => ({ sliceType: TYPES[plane], position })))
  }

  /** Zooms all planes by a factor, about a voxel that stays where it is. */
  zoom(factor: number, about: Voxel): void {
    if (!this.grid) return
    const [x = 0, y = 0, z = 0, before = 1] = this.scene.pan2Dxyzmm
    const after = Math.min(Math.max(before * factor, 1), 12)
    const at = this.frac2mm(this.vox2frac(this.grid.toRas(about)))
    const shift = (pan: number, axis: 0 | 1 | 2) => (after === 1 ? 0 : pan + at[axis] * (before - after))
    this.setPan2Dxyzmm([shift(x, 0), shift(y, 1), shift(z, 2), after])
  }

  /** Moves the planes by millimeters along RAS axes, as a drag does. */
  pan(mm: Triple): void {
    const [x = 0, y = 0, z = 0, zoom = 1] = this.scene.pan2Dxyzmm
    if (zoom > 1) this.setPan2Dxyzmm([x + mm[0] * zoom, y + mm[1] * zoom, z + mm[2] * zoom, zoom])
  }

  /** Brings a voxel to the middle of its planes where they are zoomed. */
  center(voxel: Voxel): void {
    const zoom = this.scene.pan2Dxyzmm[3]
    if (!this.grid || zoom <= 1) return
    const middle = this.frac2mm([0.5, 0.5, 0.5])
    const at = this.frac2mm(this.vox2frac(this.grid.toRas(voxel)))
    this.setPan2Dxyzmm([middle[0] - at[0] * zoom, middle[1] - at[1] * zoom, middle[2] - at[2] * zoom, zoom])
  }

  isZoomed(): boolean {
    return this.scene.pan2Dxyzmm[3] > 1
  }

  wholeImage(): void {
    this.setPan2Dxyzmm([0, 0, 0, 1])
  }

  /** The planes as they were last drawn. */
  tiles(): Tile[] {
    const size = this.grid?.dimsRAS
    if (!size) return []
    return this.screenSlices.flatMap((slice, index) => {
      const plane = (Object.keys(TYPES) as Plane[]).find((name) => TYPES[name] === slice.axCorSag)
      const [left = 0, top = 0, width = 0, height = 0] = slice.leftTopWidthHeight
      if (!plane || !width || !height) return []
      const { across, up } = AXES[plane]
      // NiiVue's own conversion, at two corners; between them it is linear in each direction
      const voxelAt = (x: number, y: number) =>
        [...this.screenXY2TextureFrac(x, y, index, false)].map((part, axis) => part * (size[axis] ?? 1) - 0.5) as Triple
      const inset = 1e-3 // a corner itself may count as outside
      const pane: Box = { left: Math.min(left, left + width), top, right: Math.max(left, left + width), bottom: top + height }
      const [x0, y0, x1, y1] = [pane.left + inset, pane.top + inset, pane.right - inset, pane.bottom - inset]
      const [a, b] = [voxelAt(x0, y0), voxelAt(x1, y1)]
      const perX = (b[across] - a[across]) / (x1 - x0)
      const perY = (b[up] - a[up]) / (y1 - y0)
      const xOf = (at: number) => x0 + (at - a[across]) / perX
      const yOf = (at: number) => y0 + (at - a[up]) / perY
      const xs = [xOf(-0.5), xOf(size[across] - 0.5)]
      const ys = [yOf(-0.5), yOf(size[up] - 0.5)]
      const tile: Tile = {
        plane,
        pane,
        image: {
          left: Math.max(Math.min(...xs), pane.left),
          top: Math.max(Math.min(...ys), pane.top),
          right: Math.min(Math.max(...xs), pane.right),
          bottom: Math.min(Math.max(...ys), pane.bottom),
        },
        toPixel: (ras) => [xOf(ras[across]), yOf(ras[up])],
        toRas: (x, y) => {
          const ras: Triple = [...a]
          ras[across] = a[across] + (x - x0) * perX
          ras[up] = a[up] + (y - y0) * perY
          return ras
        },
      }
      return [tile]
    })
  }

  /** PET's voxels in the file's order. */
  petData(): Scaled {
    if (!this.pet) throw new Error('there is no PET yet')
    return scaled(this.pet)
  }

  /** CT in Hounsfield units and PET as SUV in a voxel. */
  values(voxel: Voxel): { hu: number; suv: number } | null {
    if (!this.grid || !this.ct || !this.pet) return null
    const index = this.grid.indexOf(voxel)
    const [hu, suv] = [this.ct, this.pet].map((image) => {
      const { data, slope, intercept } = scaled(image)
      return (data[index] ?? NaN) * slope + intercept
    })
    return { hu: hu ?? NaN, suv: suv ?? NaN }
  }
}

function gridOf(image: NVImage): Grid {
  const three = (values: ArrayLike<number> | undefined, first: number): Triple => {
    if (!values) throw new Error('NiiVue gave an image without its orientation.')
    return [values[first] ?? 0, values[first + 1] ?? 0, values[first + 2] ?? 0]
  }
  return new Grid({
    dims: three(image.hdr?.dims, 1),
    dimsRAS: three(image.dimsRAS, 1),
    spacingRAS: three(image.pixDimsRAS, 1),
    start: three(image.img2RASstart, 0),
    step: three(image.img2RASstep, 0),
  })
}

function scaled(image: NVImage): Scaled {
  const { scl_slope: slope = 1, scl_inter: intercept = 0 } = image.hdr ?? {}
  return { data: (image.img ?? []) as ArrayLike<number>, slope: slope || 1, intercept: intercept || 0 }
}
