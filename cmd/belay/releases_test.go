package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAStatusTellsWhichReleasesAreStored(t *testing.T) {
	history := []v1alpha1.HistoryEntry{{Release: 7}, {Release: 6}}
	deployed := &v1alpha1.Deployed{Release: 5}
	for _, test := range []struct {
		name    string
		status  v1alpha1.Status
		without string
		want    []int
	}{
		{"none before the first", v1alpha1.Status{}, "", nil},
		{"the newest, and the one that is gone back to", v1alpha1.Status{Phase: v1alpha1.RolledBack, History: history, Deployed: deployed}, "", []int{7, 5}},
		{"not one that may be dropped while another is judged", v1alpha1.Status{Phase: v1alpha1.Watching, History: history, Deployed: deployed}, "", []int{7}},
		{"not one that people go on without", v1alpha1.Status{Phase: v1alpha1.RolledBack, History: history, Deployed: deployed}, "7", []int{5}},
		{"nor two", v1alpha1.Status{Phase: v1alpha1.RolledBack, History: history, Deployed: deployed}, "7,5", []int{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sync := &v1alpha1.Sync{Status: test.status}
			sync.Annotations = map[string]string{v1alpha1.AnnotationWithout: test.without}
			if diff := cmp.Diff(test.want, expectedOf(sync)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
