package manifests

// Place says where the objects of a kind name images. A table of places is built in; a Sync and the agent's
// configuration add to it.
type Place struct {
	Group string
	Kind  string
	// Path leads through fields to an image, as in "spec.tasks[*].steps[*].image": a list is gone through with [*], or
	// with [name=VALUE] to one entry of it, and a map with .*.
	Path string
	// PodSpec says that Path leads to a pod spec, all of whose images are meant.
	PodSpec bool
	// Prefix is what stands before the image in the text that Path leads to, as in "--image=". What does not begin with
	// it is no image.
	Prefix string
}

// Unpinned is an image that runs as it is written: whatever a node has under that name.
type Unpinned struct {
	Object Object
	Where  string // "container web", or the path of the field
	Image  string
	Reason string // for people: why it is not pinned
}
