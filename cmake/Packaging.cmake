# What is installed where, and the Debian package made of it: ninja && cpack -G DEB
#
# Paths stand below "/" as the package has them, so that one list serves package, scratch root and test. Every rule is guarded
# by its target: a build without a part makes a package without it.
include_guard(GLOBAL)

set(HEADROOM_PYTHON_FOLDER usr/lib/python3/dist-packages/headroom)
set(headroom_packaging "${CMAKE_SOURCE_DIR}/packaging")

if(TARGET headroom)
  install(TARGETS headroom RUNTIME DESTINATION usr/bin)
  install(FILES "${headroom_packaging}/systemd/headroom.service" "${headroom_packaging}/systemd/headroom@.service"
    DESTINATION lib/systemd/system)
  install(FILES "${CMAKE_SOURCE_DIR}/examples/headroom.toml" DESTINATION etc/headroom)
endif()
if(TARGET headroom_native)
  install(TARGETS headroom_native LIBRARY DESTINATION ${HEADROOM_PYTHON_FOLDER})
  install(DIRECTORY "${CMAKE_SOURCE_DIR}/python/headroom/" DESTINATION ${HEADROOM_PYTHON_FOLDER}
    FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN native EXCLUDE PATTERN __pycache__ EXCLUDE)
  # The Tryton module, which trytond finds by its entry point.
  install(DIRECTORY "${CMAKE_SOURCE_DIR}/python/headroom_worklist" "${CMAKE_SOURCE_DIR}/python/headroom_worklist.egg-info"
    DESTINATION usr/lib/python3/dist-packages PATTERN __pycache__ EXCLUDE)
endif()
if(EXISTS "${CMAKE_SOURCE_DIR}/share/completions/headroom.bash")
  install(FILES "${CMAKE_SOURCE_DIR}/share/completions/headroom.bash"
    DESTINATION usr/share/bash-completion/completions RENAME headroom)
endif()

# Debian's policy wants manual pages and changelogs packed, without a time stamp.
function(headroom_install_packed source destination name)
  set(packed "${CMAKE_BINARY_DIR}/packaging/${name}.gz")
  add_custom_command(OUTPUT "${packed}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/packaging"
    COMMAND sh -c "gzip -9nc '${source}' > '${packed}'"
    DEPENDS "${source}" VERBATIM)
  add_custom_target(packed_${name} ALL DEPENDS "${packed}")
  install(FILES "${packed}" DESTINATION ${destination})
endfunction()
headroom_install_packed("${headroom_packaging}/man/headroom.1" usr/share/man/man1 headroom.1)
headroom_install_packed("${headroom_packaging}/debian/changelog" usr/share/doc/headroom changelog)
install(FILES "${headroom_packaging}/debian/copyright" DESTINATION usr/share/doc/headroom)
install(FILES "${CMAKE_SOURCE_DIR}/docs/api.md" DESTINATION usr/share/doc/headroom)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME headroom)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_CONTACT "The Headroom authors <headroom@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "performance layer for business-application servers")
set(CPACK_PACKAGE_DESCRIPTION
  "Shows where the time of one user's session in Tryton goes: which call, which table, which statement, which line. A recorder for the application server, a command line, and a daemon for health, metrics and reports.")
set(CPACK_PACKAGING_INSTALL_PREFIX "/")
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                                WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Debian's interpreter: the native module is made for its minor version.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, python3 (>= 3.11), python3 (<< 3.12)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "tryton-server, redis-server")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${headroom_packaging}/debian/postinst" "${headroom_packaging}/debian/prerm" "${headroom_packaging}/debian/postrm"
  "${headroom_packaging}/debian/conffiles")
include(CPack)

if(HEADROOM_TESTS)
  add_test(NAME scenario.package
           COMMAND /usr/bin/python3 -W ignore::DeprecationWarning -m pytest -q -p no:cacheprovider packaging/test_deb.py
           WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}/tests")
  set_tests_properties(scenario.package PROPERTIES LABELS scenario TIMEOUT 900
    ENVIRONMENT "HEADROOM_BUILD=${HEADROOM_RELEASE_BUILD};PYTHONDONTWRITEBYTECODE=1")
endif()
