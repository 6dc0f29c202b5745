/** The sizes at which cost is measured. */

export const CONNECTED = [1, 10, 100, 1000, 10_000] as const
/** Of networks in virtual time. */
export const HOSTS = [2, 10, 100, 300, 1000] as const
