// Colors of PET, for NiiVue and for what is drawn beside it.
import type { PetColors, Settings } from './settings'

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

const LEVELS = [0, 12, 48, 80, 95, 191, 255] // between which NiiVue interpolates

/** Over CT, low uptake is transparent: anatomy stays bright where there is nothing to see in PET. */
export const OVER_CT = [0, 8, 110, 230, 255, 255, 255]

/** Colors of PET as NiiVue takes them. */
export function colormap(colors: PetColors, alphas: number[] = LEVELS.map(() => 255)) {
  const [R = [], G = [], B = []] = [0, 1, 2].map((channel) =>
    LEVELS.map((level) => Math.round(petColor(colors, level / 255)[channel] ?? 0)),
  )
  return { R, G, B, A: alphas, I: LEVELS }
}
