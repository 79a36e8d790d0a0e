package cluster

import (
	gosync "sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rememberingMapper is a RESTMapper that remembers what a kind in a version is called in requests: the one that it asks goes
// through all groups each time, and the cache of the watches asks for each object that it reads. A kind without a version is
// asked for anew, for its group may get another one.
type rememberingMapper struct {
	meta.RESTMapper
	known gosync.Map // schema.GroupVersionKind → *meta.RESTMapping
}

// RESTMapping implements [meta.RESTMapper].
func (m *rememberingMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	gvk := gk.WithVersion("") // which nothing is remembered of
	if len(versions) == 1 {
		gvk.Version = versions[0]
	}
	if known, ok := m.known.Load(gvk); ok {
		return known.(*meta.RESTMapping), nil
	}
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	switch {
	case meta.IsNoMatchError(err):
		m.known.Clear() // the kind's group has been asked for anew, and may have changed
	case err == nil && gvk.Version != "":
		m.known.Store(gvk, mapping)
	}
	return mapping, err
}
