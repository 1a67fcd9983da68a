/** Single keys as commands, silent while someone types or a dialog is open. */
import { useEffect, useEffectEvent } from "react";

export type Hotkeys = Record<string, (event: KeyboardEvent) => void>;

export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

/** `Shift+j`, `?`, `j`: the name under which a key press is looked up. */
export function keyName(event: Pick<KeyboardEvent, "key" | "shiftKey">): string {
  const letter = event.key.length === 1 && event.key.toLowerCase() !== event.key.toUpperCase();
  if (letter) return `${event.shiftKey ? "Shift+" : ""}${event.key.toLowerCase()}`;
  return event.key.length > 1 && event.shiftKey ? `Shift+${event.key}` : event.key;
}

export function useHotkeys(keys: Hotkeys, enabled = true): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    // `isComposing`: a Chinese input method is choosing characters; those keys are not ours.
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
    if (document.querySelector('[role="dialog"][data-state="open"], [role="menu"][data-state="open"]')) return;
    const act = keys[keyName(event)];
    if (!act) return;
    event.preventDefault();
    act(event);
  });
  useEffect(() => {
    if (!enabled) return;
    const listenToTheKeyboard = (event: KeyboardEvent) => press(event);
    window.addEventListener("keydown", listenToTheKeyboard);
    return () => window.removeEventListener("keydown", listenToTheKeyboard);
  }, [enabled]);
}
