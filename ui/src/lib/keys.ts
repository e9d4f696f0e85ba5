// Keys as shortcuts.

/** Whether a key was meant for a field, or for a word that is being composed. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null;
  return event.isComposing || (target?.matches("input, textarea, select, [contenteditable]") ?? false);
}
