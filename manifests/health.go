package manifests

// Condition is what can be said of an object's health.
type Condition string

// An object is Healthy, or on its way, or it has Failed in a way that waiting does not mend.
const (
	Healthy     Condition = "Healthy"
	Progressing Condition = "Progressing"
	Unhealthy   Condition = "Failed"
)

// Health is the health of one object.
type Health struct {
	ID        ID
	Condition Condition
	Reason    string // a CamelCase word such as ImagePullBackOff; empty when healthy
	Message   string // what is wrong or awaited, for people
}
