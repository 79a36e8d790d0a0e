package v1alpha1

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Annotations that people, or the belay command on their behalf, set on a Sync.
const (
	// AnnotationSyncAt asks for a look at the remote now; any new value counts.
	AnnotationSyncAt = "belay.dev/sync-at"
	// AnnotationRetryAt asks for another try of a release that was refused; any new value counts.
	AnnotationRetryAt = "belay.dev/retry-at"
	// AnnotationResolveAt asks for tags to be resolved anew, although they were pinned before; any new value counts.
	AnnotationResolveAt = "belay.dev/resolve-at"
	// AnnotationRollback asks to go back to an earlier release: a [RollbackRequest] as JSON. Any new value of its At
	// counts.
	AnnotationRollback = "belay.dev/rollback"
	// AnnotationWithout names releases, by their numbers and separated by commas, that people go on without: they are not
	// missed although the status tells of them.
	AnnotationWithout = "belay.dev/without-release"
	// AnnotationAllowPrune names a commit, in full, that may delete more than spec.apply.maxPrune.
	AnnotationAllowPrune = "belay.dev/allow-prune"
)

// RollbackRequest is what people ask for with `belay rollback`.
type RollbackRequest struct {
	At     string `json:"at"`           // when, which tells one request from the next
	To     int    `json:"to,omitempty"` // the release to go back to; 0 for the one before what runs
	By     string `json:"by,omitempty"` // who asks
	Reason string `json:"reason"`       // why
}

// Finalizer keeps a deleted Sync until its objects are gone.
const Finalizer = "belay.dev/objects"

// Sync keeps a cluster at what a directory of a Git repository says, and puts the last healthy release back when
// a new one fails its health checks.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="a Sync's name is the value of a label: at most 63 characters"
// +kubebuilder:resource:shortName=sy,categories=gitops
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Deployed",type=string,JSONPath=`.status.deployed.shortCommit`
// +kubebuilder:printcolumn:name="Wanted",type=string,JSONPath=`.status.wanted.shortCommit`
// +kubebuilder:printcolumn:name="Images",type=integer,JSONPath=`.status.objects.images`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type Sync struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec Spec `json:"spec"`
	// Status is what belay says of the Sync. Before the first pass it is of generation -1: kstatus waits for that, and takes a
	// status that says nothing for done.
	// +kubebuilder:default:={"observedGeneration":-1}
	Status Status `json:"status,omitempty"`
}

// SyncList is a list of Syncs.
//
// +kubebuilder:object:root=true
type SyncList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Sync `json:"items"`
}

// Spec is what people ask for. Only source.url is required.
type Spec struct {
	Source Source `json:"source"`
	// +kubebuilder:default={}
	Images Images `json:"images,omitempty"`
	// +kubebuilder:default={}
	Apply Apply `json:"apply,omitempty"`
	// +kubebuilder:default={}
	Health HealthChecks `json:"health,omitempty"`
	// +kubebuilder:default={}
	Rollback Rollback `json:"rollback,omitempty"`
	// DependsOn names Syncs that have to be kept, at their current generation, before a release of this one starts.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	DependsOn []Dependency `json:"dependsOn,omitempty"`
	// Suspend stops belay from looking and from writing; nothing is undone.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Dependency names another Sync.
type Dependency struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Namespace of the other Sync; the default is this one's.
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// FullName is the other Sync's, for a Sync in a namespace.
func (d Dependency) FullName(namespace string) types.NamespacedName {
	return types.NamespacedName{Namespace: cmp.Or(d.Namespace, namespace), Name: d.Name}
}

// Source is where the manifests come from.
//
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || duration(self.interval) >= duration('1s')",message="interval is at least 1s"
type Source struct {
	// URL of the repository: https://…, or http://… and file://… where the agent allows them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https|http|file)://`
	URL string `json:"url"`
	// Ref is what to follow; the default is the remote's HEAD.
	// +optional
	Ref Ref `json:"ref,omitempty"`
	// Path of a kustomization or of a directory of YAML; the default is the repository's root.
	// +optional
	Path string `json:"path,omitempty"`
	// Interval is how often the remote is asked.
	// +kubebuilder:default="1m"
	Interval metav1.Duration `json:"interval,omitempty"`
	// SecretRef names a Secret in the Sync's namespace with username and password, or with bearerToken.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// Ref names a commit, in one way.
//
// +kubebuilder:validation:XValidation:rule="(has(self.branch)?1:0)+(has(self.tag)?1:0)+(has(self.commit)?1:0) <= 1",message="name one of branch, tag and commit"
type Ref struct {
	// +optional
	Branch string `json:"branch,omitempty"`
	// +optional
	Tag string `json:"tag,omitempty"`
	// Commit is a full hash of 40 hex digits.
	// +optional
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	Commit string `json:"commit,omitempty"`
}

// LocalReference names an object in the Sync's namespace.
type LocalReference struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// Resolve says when image tags are turned into digests.
//
// +kubebuilder:validation:Enum=OnCommit;Follow;Never
type Resolve string

// The ways to resolve tags.
const (
	ResolveOnCommit Resolve = "OnCommit"
	ResolveFollow   Resolve = "Follow"
	ResolveNever    Resolve = "Never"
)

// Images says what becomes of image tags.
//
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || duration(self.interval) >= duration('1s')",message="interval is at least 1s"
type Images struct {
	// Resolve is OnCommit (each new commit's tags are pinned to the digests they have then), Follow (a tag that moves
	// makes a new release of the same commit) or Never.
	// +kubebuilder:default=OnCommit
	Resolve Resolve `json:"resolve,omitempty"`
	// Interval is how often Follow looks at the tags.
	// +kubebuilder:default="5m"
	// +optional
	Interval metav1.Duration `json:"interval,omitzero"`
	// Exclude names images that run as they are written: "registry.local/*". A * stands for any text.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	Exclude []string `json:"exclude,omitempty"`
	// Paths are fields of custom resources that name images, and arguments and variables that do, beside those that are
	// known.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Paths []ImagePath `json:"paths,omitempty"`
	// OnFailure says what a new release does while a registry is down: Fail (it waits for the registry) or UseLast (it
	// takes the digest that the last release has for that same image, and says so).
	// +kubebuilder:default=Fail
	// +optional
	OnFailure OnFailure `json:"onFailure,omitempty"`
	// Verify refuses images that are not signed. Each image must be signed by a key of every entry that matches it.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	Verify []ImageVerification `json:"verify,omitempty"`
}

// OnFailure says what follows when a registry is down.
//
// +kubebuilder:validation:Enum=Fail;UseLast
type OnFailure string

// The ways out when a registry is down.
const (
	OnFailureFail    OnFailure = "Fail"
	OnFailureUseLast OnFailure = "UseLast"
)

// ImagePath says where objects of a kind name images.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.podSpec) && self.podSpec && has(self.prefix))",message="a pod spec has no prefix"
type ImagePath struct {
	// Group of the kind; empty for the core kinds.
	// +optional
	Group string `json:"group,omitempty"`
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
	// Path leads to the image: spec.tasks[*].steps[*].image, spec.env[name=RUNNER].value, spec.replicas.*.image.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`
	// PodSpec says that the path leads to a pod spec, all of whose images are meant.
	// +optional
	PodSpec bool `json:"podSpec,omitempty"`
	// Prefix is what stands before the image: "--image=".
	// +optional
	Prefix string `json:"prefix,omitempty"`
}

// ImageVerification asks for signatures.
type ImageVerification struct {
	// Images that must be signed: "ghcr.io/acme/*". A * stands for any text; the default is all.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	Images []string `json:"images,omitempty"`
	// SecretRef names a Secret in the Sync's namespace that holds public keys, in PEM, such as `cosign generate-key-pair`
	// writes to cosign.pub. A signature by any one of them will do.
	SecretRef LocalReference `json:"secretRef"`
}

// Apply says how objects reach the cluster.
type Apply struct {
	// ServiceAccountName of the Sync's namespace to impersonate; the default is the agent's own rights.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// TargetNamespace overrides the namespace of every namespaced object. Without it, objects that name no
	// namespace go to the Sync's.
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`
	// Prune deletes objects that have left Git, once the release without them is healthy.
	// +kubebuilder:default=true
	Prune *bool `json:"prune,omitempty"`
	// MaxPrune refuses a commit that would delete more than so many objects, or more than such a share ("50%") of
	// those that are there. The annotation belay.dev/allow-prune lets one commit through.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^(100|[1-9]?[0-9])%$`
	MaxPrune *intstr.IntOrString `json:"maxPrune,omitempty"`
	// Ignore names fields that are written when an object is created, and left to others from then on.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Ignore []IgnoreRule `json:"ignore,omitempty"`
}

// Prunes tells whether what has left Git is deleted.
func (a Apply) Prunes() bool { return a.Prune == nil || *a.Prune }

// IgnoreRule names fields of some objects.
type IgnoreRule struct {
	Target Target `json:"target"`
	// Paths are JSON pointers: /spec/replicas.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:Pattern=`^/`
	Paths []string `json:"paths"`
}

// Target picks objects. What is empty fits all; a name may have wildcards, as in a shell.
type Target struct {
	// +optional
	Group string `json:"group,omitempty"`
	// +optional
	Kind string `json:"kind,omitempty"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// +optional
	Name string `json:"name,omitempty"`
}

// HealthChecks says when a release counts as healthy.
//
// +kubebuilder:validation:XValidation:rule="!has(self.timeout) || duration(self.timeout) >= duration('1s')",message="timeout is at least 1s"
// +kubebuilder:validation:XValidation:rule="!has(self.stableFor) || duration(self.stableFor) >= duration('0s')",message="stableFor is not negative"
// +kubebuilder:validation:XValidation:rule="!has(self.watchFor) || duration(self.watchFor) >= duration('0s')",message="watchFor is not negative"
type HealthChecks struct {
	// Timeout is how long a release may take to become healthy. One that was healthy and is disturbed, as by a node that is
	// drained, has it anew from its last healthy moment, up to twice the timeout in all, but not what flaps: three times
	// healthy, and then not. Time in which people alone are waited for does not count.
	// +kubebuilder:default="5m"
	Timeout metav1.Duration `json:"timeout,omitempty"`
	// StableFor is how long it must then stay healthy, without a break, before it is kept.
	// +kubebuilder:default="10s"
	StableFor metav1.Duration `json:"stableFor,omitempty"`
	// WatchFor is how long a kept release is watched on: it is rolled back, too, if it turns bad within this time, or is not
	// healthy for the timeout. What has left Git is deleted after it. An agent that is restarted watches for it anew.
	// +kubebuilder:default="0s"
	// +optional
	WatchFor metav1.Duration `json:"watchFor,omitzero"`
	// Expressions say of kinds that belay does not know how they are, in CEL, and overrule what it knows. While one of them
	// is wrong, nothing new is deployed.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Expressions []HealthExpression `json:"expressions,omitempty"`
	// Ignore names objects that a release is not judged by. How they are is told all the same.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Ignore []Target `json:"ignore,omitempty"`
}

// HealthExpression says how objects of a kind are, in CEL over object, metadata, spec, status and data. In this order:
// inProgress, failed, current; where none of them is true, the object is on its way. An expression that reads a field
// which is not there is not true.
type HealthExpression struct {
	// +kubebuilder:validation:MinLength=1
	APIVersion string `json:"apiVersion"`
	// +kubebuilder:validation:MinLength=1
	Kind string `json:"kind"`
	// Current is true once the object is healthy: "status.phase == 'Up'".
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Current string `json:"current"`
	// InProgress is true while the object is on its way.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	InProgress string `json:"inProgress,omitempty"`
	// Failed is true when waiting does not mend the object any more.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Failed string `json:"failed,omitempty"`
}

// Rollback says what follows a release that fails its health checks.
type Rollback struct {
	// Enabled puts the last kept release back.
	// +kubebuilder:default=true
	Enabled *bool `json:"enabled,omitempty"`
	// Keep is how many releases are stored.
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	Keep int `json:"keep,omitempty"`
}
