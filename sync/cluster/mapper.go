package cluster

import (
	gosync "sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// rememberingMapper is a RESTMapper that remembers what a kind in a version is called in requests: the one that it asks goes
// through all groups each time, and the cache of the watches asks for each object that it reads. What is not there is asked
// for anew, as is a kind without a version, for its group may get another one.
type rememberingMapper struct {
	meta.RESTMapper
	known gosync.Map // schema.GroupVersionKind → *meta.RESTMapping
}

// RESTMapping implements [meta.RESTMapper].
func (m *rememberingMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	if len(versions) != 1 {
		return m.RESTMapper.RESTMapping(gk, versions...)
	}
	gvk := gk.WithVersion(versions[0])
	if known, ok := m.known.Load(gvk); ok {
		return known.(*meta.RESTMapping), nil
	}
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	if err == nil {
		m.known.Store(gvk, mapping)
	}
	return mapping, err
}
