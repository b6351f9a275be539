/** How many fit into a call, this user too. */
export const MOST_PEOPLE = 9;
