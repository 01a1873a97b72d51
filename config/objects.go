package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"k8s.io/apimachinery/pkg/util/yaml"
)

// Objects decodes the objects of one kind from the manifests in a folder of Install.
func Objects[T any](folder, kind string) (list []*T, err error) {
	files, err := fs.Glob(Install, folder+"/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		data, err := Install.ReadFile(name)
		if err != nil {
			return nil, err
		}
		found, err := decode[T](data, kind)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		list = append(list, found...)
	}
	return list, nil
}

func decode[T any](data []byte, kind string) (list []*T, err error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		var raw json.RawMessage
		var head struct {
			Kind string `json:"kind"`
		}
		value := new(T)
		switch err := decoder.Decode(&raw); {
		case errors.Is(err, io.EOF):
			return list, nil
		case err != nil:
			return nil, err
		}
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, err
		}
		if head.Kind != kind {
			continue
		}
		if err := json.Unmarshal(raw, value); err != nil {
			return nil, err
		}
		list = append(list, value)
	}
}
