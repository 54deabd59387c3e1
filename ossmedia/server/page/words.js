// Times, lengths and sizes as people read them. Times are those of the browser's time zone.

const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August",
  "September", "October", "November", "December"];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

export const DAY_S = 86400;

const two = (number) => String(number).padStart(2, "0");

/** "2026-11-23" of a Date. */
export function dayOf(date) {
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** Noon of "2026-11-23". */
export function noonOf(day) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date, 12);
}

/** Whether a text is the day of a calendar. */
export function isDay(text) {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && dayOf(noonOf(text)) === text;
}

/** Minutes east of UTC on a day. */
export function offsetOf(day) {
  return -noonOf(day).getTimezoneOffset();
}

/** "2026-11" some months on. */
export function monthAfter(month, count) {
  const [year, number] = month.split("-").map(Number);
  return dayOf(new Date(year, number - 1 + count, 15)).slice(0, 7);
}

/** All days of "2026-11". */
export function daysOf(month) {
  const [year, number] = month.split("-").map(Number);
  const count = new Date(year, number, 0).getDate();
  return Array.from({ length: count }, (_, index) => `${month}-${two(index + 1)}`);
}

/** "November 2026". */
export function monthName(month) {
  const [year, number] = month.split("-").map(Number);
  return `${MONTHS[number - 1]} ${year}`;
}

/** "Monday 23 November". */
export function dayName(day) {
  const date = noonOf(day);
  return `${DAYS[date.getDay()]} ${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/** "Mon". */
export function weekday(day) {
  return DAYS[noonOf(day).getDay()].slice(0, 3);
}

/** "14:05:10" of a Date. */
export function clock(date) {
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** "14:05" of seconds since midnight. */
export function clockOf(seconds) {
  const minutes = Math.floor(Math.min(Math.max(seconds, 0), DAY_S) / 60);
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** Seconds since midnight of a Date, on a day that may be another. */
export function secondOf(date, day) {
  const noon = noonOf(day);
  return (date - noon) / 1000 + DAY_S / 2;
}

/** "8 s", "1 min 5 s", "1 h 5 min". */
export function length(seconds) {
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.round(seconds);
  const [hours, rest] = [Math.floor(whole / 3600), whole % 60];
  const minutes = Math.floor(whole / 60) % 60;
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

/** What somebody called a recording. A name that only repeats the time, or that of the usual
 * stream, says nothing. */
export function titleOf({ kind, title }) {
  const empty = kind === "hls" ? title === "live" : /^\d{8}[T_-]?\d{6,9}Z?\.\w+$/.test(title ?? "");
  return empty ? "" : title ?? "";
}

/** "279 KB", in powers of 1,000. */
export function size(bytes) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** "12 recordings". */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** "3 min ago", or the day for what is longer ago than a week. */
export function ago(iso, now = Date.now()) {
  const date = new Date(iso);
  const seconds = Math.max((now - date) / 1000, 0);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < DAY_S) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * DAY_S) return `${count(Math.floor(seconds / DAY_S), "day")} ago`;
  return dayOf(date);
}

/** "UTC+8". */
export function zone() {
  const minutes = offsetOf(dayOf(new Date()));
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `UTC${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${two(rest)}` : ""}`;
}
