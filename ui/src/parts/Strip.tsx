// Small drawings: a strip of states over time, bars of numbers, a range of parts. Each tells in words,
// too, what it shows.
import type { Mark } from "./Severity";

export interface Slot {
  mark: string;
  title: string;
}

/** States one after the other. What is not known is hatched; what was found stands out in height. */
export function Strip({ slots, label }: { slots: Slot[]; label: string }) {
  const width = 100 / Math.max(1, slots.length);
  return (
    <svg className="strip" viewBox="0 0 100 18" preserveAspectRatio="none" role="img" aria-label={label}>
      {slots.map((slot, place) => {
        const low = slot.mark === "ok" || slot.mark === "unknown";
        return (
          <rect
            key={place}
            x={place * width}
            width={width * 0.8}
            y={low ? 9 : 0}
            height={low ? 9 : 18}
            className={`slot-${slot.mark satisfies string as Mark}`}
          >
            <title>{slot.title}</title>
          </rect>
        );
      })}
    </svg>
  );
}

export interface Bar {
  value: number;
  /** A part of the value that is drawn apart; such as what was used of a limit. */
  of?: number;
  title: string;
  className?: string;
}

/** Numbers one after the other, as bars from zero. */
export function Bars({ bars, label, height = 64 }: { bars: Bar[]; label: string; height?: number }) {
  const top = Math.max(...bars.map((bar) => bar.of ?? bar.value), 1e-9);
  // A few bars do not fill the width.
  const width = 100 / Math.max(14, bars.length);
  return (
    <svg className="bars" viewBox={`0 0 100 ${height}`} style={{ height }} preserveAspectRatio="none" role="img" aria-label={label}>
      {bars.map((bar, place) => {
        const tall = (bar.value / top) * (height - 2);
        const full = bar.of === undefined ? 0 : (bar.of / top) * (height - 2);
        return (
          <g key={place} className={bar.className ?? ""}>
            <title>{bar.title}</title>
            {bar.of !== undefined && (
              <rect x={place * width} width={width * 0.8} y={height - full} height={full} className="bar-of" />
            )}
            <rect x={place * width} width={width * 0.8} y={height - Math.max(tall, bar.value > 0 ? 1 : 0)} height={Math.max(tall, bar.value > 0 ? 1 : 0)} className="bar" />
          </g>
        );
      })}
    </svg>
  );
}

/** A line through numbers, from the lowest to the highest. */
export function Line({ points, label, height = 64 }: { points: number[]; label: string; height?: number }) {
  const low = Math.min(...points);
  const high = Math.max(...points);
  const range = high - low || 1;
  const step = 100 / Math.max(1, points.length - 1);
  const path = points
    .map((point, place) => `${place === 0 ? "M" : "L"}${(place * step).toFixed(2)} ${(height - 3 - ((point - low) / range) * (height - 6)).toFixed(2)}`)
    .join("");
  return (
    <svg className="bars" viewBox={`0 0 100 ${height}`} style={{ height }} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={path} className="line" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
