// Numbers and durations in words.

export const whole = value => Math.round(value).toLocaleString("en")

/** With four significant digits, as in 0.6931 or 1.2e-7. */
export function significant(value) {
  if (value == null) return "unknown"
  return value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(2) : String(Number(value.toPrecision(4)))
}

/** Steps per second with three digits, so that the last ones do not flicker. */
export const pace = value => (value < 10 ? String(Number(value.toPrecision(2))) : whole(Number(value.toPrecision(3))))

/** A short time with three digits, such as "0.83 ms" or "350 ms". */
export const milliseconds = seconds => `${pace(1000 * seconds)} ms`

/** Such as "1st", "12th" or "23rd". */
export function ordinal(value) {
  const ending = { one: "st", two: "nd", few: "rd" }[new Intl.PluralRules("en", { type: "ordinal" }).select(value)]
  return `${whole(value)}${ending ?? "th"}`
}

/** A short time, rounded so that it does not flicker: "0.1 s", "0.4 s", "3 s". */
export const moment = seconds => (seconds < 1 ? `${Math.max(1, Math.round(10 * seconds)) / 10} s` : duration(seconds))

/** Such as "40 s", "3 min 20 s" or "2 h 5 min". */
export function duration(seconds) {
  const s = Math.round(seconds)
  if (s < 1) return "under 1 s"
  if (s < 60) return `${s} s`
  if (s < 600) return `${Math.floor(s / 60)} min ${s % 60} s`
  if (s < 3600) return `${Math.round(s / 60)} min`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}

/** Such as "1 run" or "2,000 runs". */
export const counted = (count, one, many) => `${whole(count)} ${count === 1 ? one : many}`
