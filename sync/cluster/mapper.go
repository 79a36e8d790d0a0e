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
	if len(versions) != 1 || versions[0] == "" {
		mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
		m.doubt(err)
		return mapping, err
	}
	gvk := gk.WithVersion(versions[0])
	if known, ok := m.known.Load(gvk); ok {
		return known.(*meta.RESTMapping), nil
	}
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	if err == nil {
		m.known.Store(gvk, mapping)
	}
	m.doubt(err)
	return mapping, err
}

// doubt forgets all where a kind was not there: for that its group has been asked for anew, which may have changed.
func (m *rememberingMapper) doubt(err error) {
	if meta.IsNoMatchError(err) {
		m.known.Clear()
	}
}
