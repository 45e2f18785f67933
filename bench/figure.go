package main

import "fmt"

// figure is one measured value beside its goal.
type figure struct {
	Name  string   `json:"name"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit"`
	Floor *float64 `json:"floor"` // in the same unit; null for a count
	Ratio *float64 `json:"ratio"` // value through floor
	Goal  string   `json:"goal"`
	Met   bool     `json:"met"`
	Note  string   `json:"note,omitempty"` // what limited it, and the like
}

// noted adds a note.
func (f figure) noted(note string) figure {
	f.Note = note
	return f
}

// atLeast is a figure whose goal is a value to be reached, without a floor.
func atLeast(name string, value float64, unit string, limit float64) figure {
	return figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf("≥ %g", limit), Met: value >= limit}
}

// atMostTimes is a figure whose goal is a ratio to its floor.
func atMostTimes(name string, value, floor float64, unit string, limit float64) figure {
	ratio := value / floor
	return figure{Name: name, Value: value, Unit: unit, Floor: &floor, Ratio: &ratio, Goal: fmt.Sprintf("≤ %g × floor", limit), Met: ratio <= limit}
}

// atMost is a figure whose goal is a value, shown beside a floor.
func atMost(name string, value, floor float64, unit string, limit float64) figure {
	ratio := value / floor
	return figure{Name: name, Value: value, Unit: unit, Floor: &floor, Ratio: &ratio, Goal: fmt.Sprintf("≤ %g %s", limit, unit), Met: value <= limit}
}

// count is a figure without a floor.
func count(name string, value float64, unit string, limit float64) figure {
	return figure{Name: name, Value: value, Unit: unit, Goal: fmt.Sprintf("≤ %g", limit), Met: value <= limit}
}

// shown is a figure without a goal.
func shown(name string, value, floor float64, unit string) figure {
	ratio := value / floor
	return figure{Name: name, Value: value, Unit: unit, Floor: &floor, Ratio: &ratio, Goal: "none", Met: true}
}

// reachTimes is a figure whose goal is a ratio to its floor that is to be
// reached.
func reachTimes(name string, value, floor float64, unit string, limit float64) figure {
	ratio := value / floor
	return figure{Name: name, Value: value, Unit: unit, Floor: &floor, Ratio: &ratio, Goal: fmt.Sprintf("≥ %g × floor", limit), Met: ratio >= limit}
}

// reach is a figure whose goal is a value to be reached, shown beside a floor.
func reach(name string, value, floor float64, unit string, limit float64) figure {
	ratio := value / floor
	return figure{Name: name, Value: value, Unit: unit, Floor: &floor, Ratio: &ratio, Goal: fmt.Sprintf("≥ %g %s", limit, unit), Met: value >= limit}
}
