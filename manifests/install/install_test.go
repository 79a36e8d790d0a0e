package install

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
)

var options = Options{Namespace: "gitops", Image: "registry.local:5000/belay@sha256:0f", Args: []string{"--allow-http", `--x="a: {b}"`}}

// documents reads what is installed, each document strictly: a key that stands twice is an error.
func documents(t *testing.T, options Options) (objects []manifests.Object, texts [][]byte) {
	t.Helper()
	text, err := Manifests(options)
	if err != nil {
		t.Fatal(err)
	}
	reader := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	for {
		document := make([]byte, len(text)+1)
		n, err := reader.Read(document)
		if errors.Is(err, io.EOF) {
			return objects, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := strict.YAMLToJSONStrict(document[:n])
		if err != nil {
			t.Fatalf("%v in\n%s", err, document[:n])
		}
		if string(body) == "null" {
			continue
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(body); err != nil {
			t.Fatalf("%v in\n%s", err, document[:n])
		}
		object, err := manifests.NewObject(u, "install.yaml")
		if err != nil {
			t.Fatal(err)
		}
		objects, texts = append(objects, object), append(texts, body)
	}
}

func TestAnInstallationIsTheDefinitionAndTheAgentWithItsRights(t *testing.T) {
	objects, _ := documents(t, options)
	if _, err := manifests.NewSet(objects...); err != nil {
		t.Error(err)
	}
	var got []string
	for _, object := range objects {
		got = append(got, object.ID().String())
	}
	for _, want := range []string{
		"CustomResourceDefinition/syncs.belay.dev", "Namespace/gitops", "ServiceAccount/gitops/belay",
		"ClusterRoleBinding/belay", "Deployment/gitops/belay",
	} {
		if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+want+" ") {
			t.Errorf("%s is missing in %v", want, got)
		}
	}
	if got[0] != "CustomResourceDefinition/syncs.belay.dev" {
		t.Errorf("the first object is %s", got[0])
	}
}

func TestNothingIsInstalledOutsideTheNamespace(t *testing.T) {
	objects, texts := documents(t, options)
	for i, object := range objects {
		if namespace := object.ID().Namespace; namespace != "" && namespace != "gitops" {
			t.Errorf("%s is in %s", object, namespace)
		}
		if bytes.Contains(texts[i], []byte("{{")) || bytes.Contains(texts[i], []byte("<no value>")) {
			t.Errorf("%s has a rest of the template in it", object)
		}
	}
}

func TestTheDefinitionsAloneAreTheFirstOfAll(t *testing.T) {
	objects, _ := documents(t, Options{OnlyCRDs: true})
	if len(objects) != 1 || objects[0].ID().String() != "CustomResourceDefinition/syncs.belay.dev" {
		t.Errorf("got %v", objects)
	}
	only, err := Manifests(Options{OnlyCRDs: true})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := Manifests(options)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(whole, only) {
		t.Error("the whole does not begin with them")
	}
}

// kstatus takes a custom resource whose status says nothing for done, so that a new Sync has to have one.
func TestANewSyncSaysThatNoPassHasSeenIt(t *testing.T) {
	objects, _ := documents(t, Options{OnlyCRDs: true})
	versions, _ := objects[0].Field("spec", "versions").([]any)
	if len(versions) == 0 {
		t.Error("there is no version")
	}
	for i, version := range versions {
		got, _, err := unstructured.NestedMap(version.(map[string]any), "schema", "openAPIV3Schema", "properties", "status", "default")
		if diff := cmp.Diff(map[string]any{"observedGeneration": int64(-1)}, got); diff != "" || err != nil {
			t.Errorf("version %d: %v: %s", i, err, diff)
		}
	}
}

// agentOf reads the agent's Deployment, refusing fields that Kubernetes does not know.
func agentOf(t *testing.T, options Options) appsv1.Deployment {
	t.Helper()
	objects, texts := documents(t, options)
	for i, object := range objects {
		if object.ID().Kind == "Deployment" {
			var agent appsv1.Deployment
			if err := strict.UnmarshalStrict(texts[i], &agent); err != nil {
				t.Fatal(err)
			}
			return agent
		}
	}
	t.Fatal("there is no Deployment")
	return appsv1.Deployment{}
}

func TestTheAgentIsGivenItsImageAndArgumentsAsTheyAre(t *testing.T) {
	agent := agentOf(t, options)
	container := agent.Spec.Template.Spec.Containers[0]
	if container.Image != options.Image {
		t.Errorf("the image is %s", container.Image)
	}
	if diff := cmp.Diff([]string{"agent", "--cache-dir=/cache", "--allow-http", `--x="a: {b}"`}, container.Args); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(agent.Spec.Selector.MatchLabels, agent.Spec.Template.Labels); diff != "" {
		t.Error("the selector does not pick the pods:", diff)
	}
	if got := agent.Spec.Template.Spec.ServiceAccountName; got != "belay" {
		t.Errorf("the service account is %s", got)
	}
}

// withFiles are options with all that can be mounted.
var withFiles = Options{Namespace: "gitops", Image: "belay", DockerConfigSecret: "registries", Files: []File{
	{Path: "certs.d/registry.local:5000/hosts.toml", Content: []byte("server = \"{{ x }}\"\n")}, {Path: "image-paths.yaml", Content: []byte("[]")},
}}

func TestTheAgentFindsItsFiles(t *testing.T) {
	objects, texts := documents(t, withFiles)
	for i, object := range objects {
		if object.ID().String() != "Secret/gitops/belay-files" {
			continue
		}
		var files corev1.Secret
		if err := strict.UnmarshalStrict(texts[i], &files); err != nil {
			t.Fatal(err)
		}
		want := map[string][]byte{"file-0": withFiles.Files[0].Content, "file-1": withFiles.Files[1].Content}
		if diff := cmp.Diff(want, files.Data); diff != "" {
			t.Error(diff)
		}
	}
	spec := agentOf(t, withFiles).Spec.Template.Spec
	paths := map[string]string{}
	for _, mount := range spec.Containers[0].VolumeMounts {
		for _, volume := range spec.Volumes {
			if volume.Name != mount.Name || volume.Secret == nil {
				continue
			}
			for _, item := range volume.Secret.Items {
				paths[mount.MountPath+"/"+item.Path] = volume.Secret.SecretName + " " + item.Key
			}
		}
	}
	want := map[string]string{
		FilesDir + "/certs.d/registry.local:5000/hosts.toml": "belay-files file-0",
		FilesDir + "/image-paths.yaml":                       "belay-files file-1",
		DockerConfig:                                         "registries .dockerconfigjson",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
}

// Some of the files are read when the agent starts, and a Secret that changes starts nothing.
func TestAFileThatChangesStartsTheAgentAnew(t *testing.T) {
	with := func(files ...File) map[string]string {
		return agentOf(t, Options{Namespace: "gitops", Image: "belay", Files: files}).Spec.Template.Annotations
	}
	before := with(File{Path: "image-paths.yaml", Content: []byte("[]")})
	if diff := cmp.Diff(before, with(File{Path: "image-paths.yaml", Content: []byte("[]")})); diff != "" {
		t.Errorf("the same file: %s", diff)
	}
	if after := with(File{Path: "image-paths.yaml", Content: []byte("[{kind: Db, path: spec.image}]")}); cmp.Equal(before, after) {
		t.Errorf("another content: the pods have the same annotations, %v", after)
	}
	if none := with(); len(none) > 0 {
		t.Errorf("without files: %v", none)
	}
}

func TestTheNamespaceEnforcesTheRestrictedRules(t *testing.T) {
	objects, _ := documents(t, options)
	for _, object := range objects {
		if object.ID().Kind == "Namespace" {
			if got := object.Unstructured().GetLabels()["pod-security.kubernetes.io/enforce"]; got != "restricted" {
				t.Errorf("it enforces %q", got)
			}
		}
	}
}

// The rules are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/, baseline and
// restricted, field by field.
func TestTheAgentFitsTheRestrictedPodSecurityRules(t *testing.T) {
	t.Run("as it is", func(t *testing.T) { fitsTheRestrictedRules(t, options) })
	t.Run("with files", func(t *testing.T) { fitsTheRestrictedRules(t, withFiles) })
}

func fitsTheRestrictedRules(t *testing.T, options Options) {
	t.Helper()
	pod := agentOf(t, options).Spec.Template
	spec := pod.Spec
	check := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Error(what)
		}
	}
	check("host namespaces are off", !spec.HostNetwork && !spec.HostPID && !spec.HostIPC)
	for name := range pod.Annotations {
		check("annotation "+name+" is none of AppArmor or seccomp", strings.HasPrefix(name, "belay.dev/"))
	}
	for _, volume := range spec.Volumes {
		check("volume "+volume.Name+" is an emptyDir or a Secret", (volume.EmptyDir != nil || volume.Secret != nil) && volume.HostPath == nil)
	}
	of := spec.SecurityContext
	if of == nil {
		t.Fatal("the pod has no securityContext")
	}
	check("the pod does not run as root", of.RunAsNonRoot != nil && *of.RunAsNonRoot)
	check("the pod's user is not root", of.RunAsUser != nil && *of.RunAsUser != 0)
	check("the pod's seccomp profile", of.SeccompProfile != nil && of.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault)
	check("no sysctls, SELinux or Windows options", len(of.Sysctls) == 0 && of.SELinuxOptions == nil && of.WindowsOptions == nil)
	check("there is one container", len(spec.Containers) == 1 && len(spec.InitContainers) == 0 && len(spec.EphemeralContainers) == 0)
	for _, container := range spec.Containers {
		c := container.SecurityContext
		if c == nil || c.Capabilities == nil {
			t.Fatalf("container %s has no securityContext or capabilities", container.Name)
		}
		check("no privileges", c.Privileged == nil || !*c.Privileged)
		check("no escalation", c.AllowPrivilegeEscalation != nil && !*c.AllowPrivilegeEscalation)
		check("all capabilities are dropped", cmp.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(c.Capabilities.Add) == 0)
		check("the container does not become root", (c.RunAsNonRoot == nil || *c.RunAsNonRoot) && (c.RunAsUser == nil || *c.RunAsUser != 0))
		check("the container keeps the pod's seccomp profile", c.SeccompProfile == nil)
		check("the usual /proc", c.ProcMount == nil || *c.ProcMount == corev1.DefaultProcMount)
		check("no host ports", noHostPorts(container))
		// Not asked for by the rules, but promised: what is written is written to the cache.
		check("the root file system is read-only", c.ReadOnlyRootFilesystem != nil && *c.ReadOnlyRootFilesystem)
	}
}

func noHostPorts(container corev1.Container) bool {
	for _, port := range container.Ports {
		if port.HostPort != 0 || port.HostIP != "" {
			return false
		}
	}
	return true
}
