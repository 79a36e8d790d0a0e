package manifests

import "time"

// Commit is what people know a commit by.
type Commit struct {
	Hash    string `json:"hash"`
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// Release is what one pass deploys, as a value: enough to deploy it again with Git and the registry down.
type Release struct {
	Number int    `json:"number"` // counts up from 1 in each Sync
	Commit Commit `json:"commit"`
	Path   string `json:"path,omitempty"`
	Pins   Pins   `json:"pins,omitempty"`
	// Rendered is the [Set.Digest] of the objects before they were pinned: a later commit that renders to the
	// same takes the same pins.
	Rendered string `json:"rendered"`
	// Options is a digest of the spec that the release was made under; a changed spec makes a refused release
	// worth another try.
	Options string `json:"options"`
	// Objects are what is applied, byte for byte.
	Objects Set `json:"objects"`
	// Owned names what else may be in the cluster on this Sync's behalf: objects of earlier releases that are
	// not confirmed deleted. It is recorded before the first write, so a killed agent orphans nothing.
	Owned []ID `json:"owned,omitempty"`
	// Adopted names those of Objects that were in the cluster before, and nobody's. A rollback lets go of them; it
	// does not delete what it did not bring.
	Adopted []ID `json:"adopted,omitempty"`
	// Done names the Jobs among Objects that an earlier release has run, word for word, and that take themselves away
	// afterwards: they are not run again.
	Done []ID `json:"done,omitempty"`
}

// Result is how far a release got.
type Result string

// A release is Applying until it is judged, and at last one of the others.
const (
	Applying       Result = "Applying"
	Kept           Result = "Kept"           // healthy: the target of later rollbacks
	Superseded     Result = "Superseded"     // a newer commit came before the verdict
	RollingBack    Result = "RollingBack"    // refused; the last kept release is being put back
	RolledBack     Result = "RolledBack"     // refused, and the last kept release is healthy again
	RollbackFailed Result = "RollbackFailed" // refused, and the last kept release is not healthy either
	Failed         Result = "Failed"         // refused, with nothing to go back to or rollback disabled
)

// Refused tells the results that hold a release: it is not tried again by itself.
func (r Result) Refused() bool {
	return r == RollingBack || r == RolledBack || r == RollbackFailed || r == Failed
}

// Record is what the journal knows of a stored release without reading its objects. Everything but Outcome is
// fixed when the release is stored.
type Record struct {
	Number   int
	Commit   Commit
	Rendered string    // of [Release.Rendered]
	Objects  string    // the [Set.Digest] of the pinned objects
	Options  string    // of [Release.Options]
	At       time.Time // when it was stored, by the agent's clock; for people, never compared
	Outcome  Outcome
}

// Outcome is what became of a release.
type Outcome struct {
	Result  Result        `json:"result"`
	Reason  string        `json:"reason,omitempty"`  // a CamelCase word, where it was refused
	Message string        `json:"message,omitempty"` // what was wrong, naming the object
	Took    time.Duration `json:"took,omitempty"`    // from stored to judged
	// Options is [Release.Options] of the spec that a release was refused under, which may have changed meanwhile.
	Options string `json:"options,omitempty"`
	// Pruned says that everything in [Release.Owned] is confirmed gone.
	Pruned bool `json:"pruned,omitempty"`
}
