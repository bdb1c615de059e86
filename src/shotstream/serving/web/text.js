// Writing into a text box as a hand would: what the page writes there, undo takes back.

/** Put `text` in the place of characters `from` to `to` of `field`; the keyboard stays where it was. */
export function write(field, text, from = 0, to = field.value.length) {
  const wanted = field.value.slice(0, from) + text + field.value.slice(to);
  if (wanted === field.value) return;
  const before = document.activeElement;
  field.focus({ preventScroll: true });
  if (document.activeElement === field) { // it is not, while it is hidden
    field.setSelectionRange(from, to);
    document.execCommand(text ? "insertText" : "delete", false, text); // the one way that keeps a text box's own undo
  }
  if (field.value !== wanted) {
    field.value = wanted;
    field.dispatchEvent(new Event("input"));
  }
  if (before !== field) before?.focus?.({ preventScroll: true });
}

/** Put `words` in where the pen stands, with the spaces they need. */
export function insert(field, words) {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const before = from > 0 && !/\s/.test(value[from - 1]) ? " " : "";
  const after = to < value.length && !/[\s.,!?]/.test(value[to]) ? " " : "";
  write(field, before + words + after, from, to);
  const pen = from + before.length + words.length;
  field.setSelectionRange(pen, pen);
}

/** Each paragraph of `text`: each is a shot. */
export const paragraphs = (text) => text.split(/\n\s*\n/).map((one) => one.trim()).filter(Boolean);
