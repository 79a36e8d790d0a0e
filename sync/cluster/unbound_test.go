package cluster

import "testing"

func TestTheClassThatAClaimNames(t *testing.T) {
	for claim, want := range map[string]string{
		`{metadata: {name: data}, spec: {storageClassName: fast}}`:                                                              "fast",
		`{metadata: {name: data, annotations: {volume.beta.kubernetes.io/storage-class: old}}, spec: {}}`:                       "old",
		`{metadata: {name: data, annotations: {volume.beta.kubernetes.io/storage-class: old}}, spec: {storageClassName: fast}}`: "old",
		`{metadata: {name: data}, spec: {}}`:                                                                                    "",
	} {
		if got := classOf(live(t, "{apiVersion: v1, kind: PersistentVolumeClaim, "+claim[1:])); got != want {
			t.Errorf("%s: %q, want %q", claim, got, want)
		}
	}
}
