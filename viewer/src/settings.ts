// How the images are shown, kept in the browser from one visit to the next.
import { Store } from './store'

export const SHOWN = ['fusion', 'pet', 'ct'] as const
export type Shown = (typeof SHOWN)[number]

export const PET_COLORS = ['hot', 'inverse'] as const
export type PetColors = (typeof PET_COLORS)[number]

export interface Settings {
  shown: Shown
  petColors: PetColors
  petShare: number // of PET in the fusion, 0 to 1
  suvLow: number
  suvHigh: number
  ctWindow: CtWindow
  mask: boolean
  maskOpacity: number // of its fill, 0 to 1; the outline is always opaque
  outline: boolean
  rotating: boolean
}

/** Width and level in Hounsfield units, as radiologists name them. */
export const CT_WINDOWS = {
  'soft tissue': { width: 400, level: 40 },
  lung: { width: 1500, level: -600 },
  bone: { width: 1800, level: 400 },
} as const

export type CtWindow = keyof typeof CT_WINDOWS

export const DEFAULTS: Settings = {
  shown: 'fusion',
  petColors: 'hot',
  petShare: 0.6,
  suvLow: 0,
  suvHigh: 10,
  ctWindow: 'soft tissue',
  mask: true,
  maskOpacity: 0.25,
  outline: true,
  rotating: !window.matchMedia('(prefers-reduced-motion: reduce)').matches,
}

const KEY = 'lesionclick.settings'

function remembered(): Settings {
  const settings: Settings = { ...DEFAULTS }
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Record<string, unknown>
    for (const key of Object.keys(DEFAULTS) as (keyof Settings)[]) {
      if (typeof stored[key] === typeof DEFAULTS[key]) Object.assign(settings, { [key]: stored[key] })
    }
  } catch {
    // a browser that keeps nothing, or something else under this name: the defaults
  }
  if (!SHOWN.includes(settings.shown)) settings.shown = DEFAULTS.shown
  if (!PET_COLORS.includes(settings.petColors)) settings.petColors = DEFAULTS.petColors
  if (!(settings.ctWindow in CT_WINDOWS)) settings.ctWindow = DEFAULTS.ctWindow
  if (!(settings.suvHigh > settings.suvLow)) Object.assign(settings, { suvLow: 0, suvHigh: 10 })
  return settings
}

export const settings = new Store<Settings>(remembered())

settings.watch((value) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(value))
  } catch {
    // private windows may refuse; the settings then last as long as the page
  }
})
