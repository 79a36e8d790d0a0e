package manifests

// Changes is what applying a set to a cluster would change.
type Changes struct {
	// Objects to apply, in the set's order. Fields that are somebody else's by now, such as autoscaled replicas, are as
	// they are to be written, not as Git has them.
	Objects []Object
	// Adopted names those of Objects that are there already and nobody's.
	Adopted []ID
	// Contended says of objects whose fields others have taken over who that is, for people: `manager "scaler" holds
	// .spec.replicas`.
	Contended map[ID]string
}

// Deletion is what became of objects that were to be deleted.
type Deletion struct {
	Left   []ID // not gone yet
	Stayed []ID // not deleted, but let go of: they hold data, or people asked to keep them
}
