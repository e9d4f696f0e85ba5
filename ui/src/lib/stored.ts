// Settings of this browser: a value that is remembered and told to those who show it.
import { useSyncExternalStore } from "react";

/** A remembered value; `apply` brings it to the document. */
export class Stored<T extends string> {
  private value: T;
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly key: string,
    private readonly allowed: readonly T[],
    fallback: T,
    private readonly effect: (value: T) => void = () => undefined,
  ) {
    let kept: string | null = null;
    try {
      kept = localStorage.getItem(key);
    } catch {
      // Private mode: the setting lasts as long as the page.
    }
    this.value = allowed.find((one) => one === kept) ?? fallback;
  }

  get = (): T => this.value;

  set = (value: T): void => {
    this.value = value;
    try {
      localStorage.setItem(this.key, value);
    } catch {
      // See above.
    }
    this.apply();
    for (const listener of this.listeners) listener();
  };

  apply = (): void => this.effect(this.value);

  /** The next of the allowed values. */
  next = (): T => this.allowed[(this.allowed.indexOf(this.value) + 1) % this.allowed.length] ?? this.value;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  use = (): T => useSyncExternalStore(this.subscribe, this.get);
}
