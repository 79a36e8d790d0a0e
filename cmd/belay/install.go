package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/belay-gitops/belay/manifests/install"
)

func newInstall() *cobra.Command {
	options := install.Options{}
	var files installFiles
	cmd := &cobra.Command{
		Use:     "install",
		Short:   "Print the manifests that install the agent",
		Example: "  belay install | kubectl apply -f -\n  belay install --registry-hosts-dir /etc/containerd/certs.d --docker-config-secret registries | kubectl apply -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := files.addTo(&options); err != nil {
				return err
			}
			text, err := install.Manifests(options)
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&options.Namespace, "namespace", "belay", "the namespace to install into")
	f.StringVar(&options.Image, "image", "ghcr.io/belay-gitops/belay:"+version, "the agent's image")
	f.StringArrayVar(&options.Args, "agent-arg", nil, "a further argument of the agent, such as --allow-http; may be given several times")
	f.StringVar(&files.hostsDir, "registry-hosts-dir", "", "a directory like containerd's certs.d on this machine, which the agent gets in a Secret")
	f.StringVar(&files.imagePaths, "image-paths", "", "a YAML file on this machine that says where custom resources name images, which the agent gets")
	f.StringVar(&options.DockerConfigSecret, "docker-config-secret", "", "a Secret of that namespace, of the type kubernetes.io/dockerconfigjson, with the agent's own registry credentials")
	f.BoolVar(&options.OnlyCRDs, "crds-only", false, "print the custom resource definition alone")
	return cmd
}

// installFiles are files of this machine that the agent is given.
type installFiles struct{ hostsDir, imagePaths string }

// addTo adds the files, and the arguments that name them.
func (i installFiles) addTo(options *install.Options) error {
	if i.hostsDir != "" {
		const to = "certs.d"
		files, err := filesIn(i.hostsDir, to)
		if err != nil {
			return fmt.Errorf("reading --registry-hosts-dir: %w", err)
		}
		options.Files = append(options.Files, files...)
		options.Args = append(options.Args, "--registry-hosts-dir="+path.Join(install.FilesDir, to))
	}
	if i.imagePaths != "" {
		if _, err := imagePaths(i.imagePaths); err != nil {
			return err
		}
		text, err := os.ReadFile(i.imagePaths)
		if err != nil {
			return fmt.Errorf("reading --image-paths: %w", err)
		}
		const to = "image-paths.yaml"
		options.Files = append(options.Files, install.File{Path: to, Content: text})
		options.Args = append(options.Args, "--image-paths="+path.Join(install.FilesDir, to))
	}
	if options.DockerConfigSecret != "" {
		options.Args = append(options.Args, "--docker-config="+install.DockerConfig)
	}
	return nil
}

// filesIn is all files below a directory, in order, as they are to be below another.
func filesIn(dir, to string) ([]install.File, error) {
	dir, err := filepath.EvalSymlinks(dir) // WalkDir follows none
	if err != nil {
		return nil, err
	}
	var files []install.File
	err = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, name)
		files = append(files, install.File{Path: path.Join(to, filepath.ToSlash(below)), Content: text})
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s: there is no file in it", dir)
	}
	return files, err
}
