package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Phase is where a Sync stands, in a word.
type Phase string

// The phases of a Sync.
const (
	Pending        Phase = "Pending"        // nothing deployed yet
	Applying       Phase = "Applying"       // a release is being written
	Watching       Phase = "Watching"       // written, and being judged
	Kept           Phase = "Kept"           // healthy
	Failed         Phase = "Failed"         // refused, with nothing to go back to or rollback disabled
	RollingBack    Phase = "RollingBack"    // refused, and the last kept release is being put back
	RolledBack     Phase = "RolledBack"     // the last kept release runs again
	RollbackFailed Phase = "RollbackFailed" // the last kept release is not healthy either; waits for a commit
	Suspended      Phase = "Suspended"
)

// Types of a Sync's conditions. Reconciling and Stalled are there only while they are true (kstatus).
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
	Healthy     = "Healthy"
	WasUndone   = "RolledBack"
	// ImagesMissing is there only while a registry does not have a digest any more that a stored release needs.
	ImagesMissing = "ImagesMissing"
)

// Status is what belay says of a Sync. Neither the inventory nor rendered objects are in it.
type Status struct {
	// ObservedGeneration is the generation of the Sync that the rest is about; -1 before the first pass.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// LastHandledReconcileAt is the last value of the belay.dev/sync-at annotation that was acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
	// LastHandledRetryAt is the last value of the belay.dev/retry-at annotation that was acted on.
	// +optional
	LastHandledRetryAt string `json:"lastHandledRetryAt,omitempty"`
	// LastHandledResolveAt is the last value of the belay.dev/resolve-at annotation that was acted on.
	// +optional
	LastHandledResolveAt string `json:"lastHandledResolveAt,omitempty"`
	// LastHandledRollbackAt is the time of the last belay.dev/rollback request that was acted on or refused.
	// +optional
	LastHandledRollbackAt string `json:"lastHandledRollbackAt,omitempty"`
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// Wanted is the commit that Git asks for: the newest of its ref that changed something of what this Sync reads.
	// +optional
	Wanted *Wanted `json:"wanted,omitempty"`
	// Deployed is the release that runs.
	// +optional
	Deployed *Deployed `json:"deployed,omitempty"`
	// Held is the release that was refused and is not tried again by itself.
	// +optional
	Held *Held `json:"held,omitempty"`
	// Images are the pins of the deployed release, at most 100 of them.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Images []PinnedImage `json:"images,omitempty"`
	// Unpinned are images of the deployed release that run as they are written, at most 20 of them.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	Unpinned []UnpinnedImage `json:"unpinned,omitempty"`
	// +optional
	Objects *ObjectCounts `json:"objects,omitempty"`
	// History is the latest releases, newest first.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	History []HistoryEntry `json:"history,omitempty"`
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Wanted is the commit that Git asks for: the newest of its ref that changed something of what this Sync reads. Commits
// after it that change only other files do not move it, until somebody asks for a look, with belay sync for instance.
type Wanted struct {
	Commit      string      `json:"commit"`
	ShortCommit string      `json:"shortCommit,omitempty"`
	Author      string      `json:"author,omitempty"`
	Subject     string      `json:"subject,omitempty"`
	ObservedAt  metav1.Time `json:"observedAt,omitempty"`
}

// Deployed is the release that runs.
type Deployed struct {
	Commit      string      `json:"commit"`
	ShortCommit string      `json:"shortCommit,omitempty"`
	Release     int         `json:"release"`
	Since       metav1.Time `json:"since,omitempty"`
}

// Held is a release that was refused.
type Held struct {
	Commit       string      `json:"commit"`
	Release      int         `json:"release"`
	Reason       string      `json:"reason"`
	Message      string      `json:"message"`
	RolledBackTo string      `json:"rolledBackTo,omitempty"`
	At           metav1.Time `json:"at,omitempty"`
}

// PinnedImage is one image of the deployed release.
type PinnedImage struct {
	Image      string      `json:"image"`
	Digest     string      `json:"digest"`
	ResolvedAt metav1.Time `json:"resolvedAt,omitempty"`
	// Credentials names those that the registry was shown; empty without any.
	// +optional
	Credentials string `json:"credentials,omitempty"`
	// FromRelease is the release whose digest was taken since the registry was down.
	// +optional
	FromRelease int `json:"fromRelease,omitempty"`
	// Missing says that the registry does not have the digest any more.
	// +optional
	Missing bool `json:"missing,omitempty"`
}

// UnpinnedImage is an image that runs as it is written: whatever a node has under that name.
type UnpinnedImage struct {
	Object string `json:"object"`
	Where  string `json:"where"`
	Image  string `json:"image"`
	Reason string `json:"reason"`
}

// ObjectCounts sums up the health of the deployed objects.
type ObjectCounts struct {
	Total       int `json:"total"`
	Healthy     int `json:"healthy"`
	Progressing int `json:"progressing"`
	Failed      int `json:"failed"`
	Images      int `json:"images"`
}

// HistoryEntry is one release.
type HistoryEntry struct {
	Release  int             `json:"release"`
	Commit   string          `json:"commit"`
	Author   string          `json:"author,omitempty"`
	Subject  string          `json:"subject,omitempty"` // at most 72 characters of it
	Result   string          `json:"result"`
	Reason   string          `json:"reason,omitempty"`
	Duration metav1.Duration `json:"duration,omitempty"`
	At       metav1.Time     `json:"at,omitempty"`
}
