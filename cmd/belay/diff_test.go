package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/cluster"
)

func TestAChangeIsAUnifiedDiffThatNamesTheObject(t *testing.T) {
	id := manifests.ID{Kind: "ConfigMap", Namespace: "shop", Name: "settings"}
	object := func(greeting string) map[string]any {
		return map[string]any{"data": map[string]any{"greeting": greeting}, "kind": "ConfigMap"}
	}
	for _, test := range []struct {
		name string
		d    cluster.Difference
		want string
	}{
		{"changed", cluster.Difference{ID: id, Live: object("a"), Would: object("b")}, `--- ConfigMap/shop/settings (live)
+++ ConfigMap/shop/settings (release 3)
@@ -1,3 +1,3 @@
 data:
-  greeting: a
+  greeting: b
 kind: ConfigMap
`},
		{"missing", cluster.Difference{ID: id, Would: object("b")}, `--- ConfigMap/shop/settings (missing)
+++ ConfigMap/shop/settings (release 3)
@@ -0,0 +1,3 @@
+data:
+  greeting: b
+kind: ConfigMap
`},
		{"extra", cluster.Difference{ID: id, Live: object("a")}, `--- ConfigMap/shop/settings (live)
+++ ConfigMap/shop/settings (would be deleted)
@@ -1,3 +0,0 @@
-data:
-  greeting: a
-kind: ConfigMap
`},
		{"extra, and to stay", cluster.Difference{ID: id, Live: map[string]any{"kind": "ConfigMap"}, LetGo: true}, `--- ConfigMap/shop/settings (live)
+++ ConfigMap/shop/settings (would be let go of, and stay)
@@ -1 +0,0 @@
-kind: ConfigMap
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := change{test.d, 3}.unified()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
