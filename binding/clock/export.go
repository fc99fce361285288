package clock

// Slots is how many slots there are, the one that says nothing among them.
const Slots = 16
