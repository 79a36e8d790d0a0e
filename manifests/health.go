package manifests

import "time"

// Condition is what can be said of an object's health.
type Condition string

// The conditions. The words are those of Argo CD's health, which people know, but for Failed, which is kstatus's.
const (
	Healthy     Condition = "Healthy"
	Progressing Condition = "Progressing" // on its way
	Unhealthy   Condition = "Failed"      // waiting does not mend it
	Suspended   Condition = "Suspended"   // it stands still since somebody wants it to
	Unknown     Condition = "Unknown"     // whoever looks after it says that he does not know
	Missing     Condition = "Missing"     // it, or what it stands for, is not there
)

// ReasonNoStatus is the reason of a custom resource that nobody has given a status yet.
const ReasonNoStatus = "NoStatus"

// Health is the health of one object.
type Health struct {
	ID        ID
	Condition Condition
	Reason    string // a CamelCase word such as ImagePullBackOff; empty when healthy
	Message   string // what is wrong or awaited, for people
	Bearing   Bearing
	// Since is since when, by this process's clock, the object has been healthy without a break; zero where that is not
	// known, or it is not healthy.
	Since time.Time
	// Again is after how long the object would be judged otherwise although nothing happens; 0 for never.
	Again time.Duration
}

// Bearing is what an object's health means for its release, where that does not follow from the condition.
type Bearing string

// The bearings.
const (
	// Usual: Healthy and Suspended are good, Failed is bad, all else is waited for until the deadline.
	Usual Bearing = ""
	// None: the release does not depend on it, as on the address that nobody hands out on bare metal.
	None Bearing = "None"
	// Patient: the release waits, without a deadline, for people to go on.
	Patient Bearing = "Patient"
)

// Good tells whether a release can be kept with the object as it is.
func (h Health) Good() bool {
	switch h.Bearing {
	case None:
		return true
	case Patient:
		return false
	}
	return h.Condition == Healthy || h.Condition == Suspended
}

// Bad tells whether the object takes its release down with it.
func (h Health) Bad() bool { return h.Bearing == Usual && h.Condition == Unhealthy }
