// Event ids are UUIDv7: they begin with their time in milliseconds, so an id stands for a moment.

/** The lowest event_id of a moment: UUIDv7 begins with its time in milliseconds. */
export function idAt(moment_ms) {
  const digits = Math.max(0, moment_ms).toString(16).padStart(12, "0");
  return `${digits.slice(0, 8)}-${digits.slice(8)}-7000-8000-000000000000`;
}

/** The lowest event_id so long before this event. */
export function idBefore(eventId, margin_ms) {
  if (eventId === null) return null;
  return idAt(parseInt(eventId.slice(0, 8) + eventId.slice(9, 13), 16) - margin_ms);
}
